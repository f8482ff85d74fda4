"""From a bundle and its profile to a sized Knative Service: sizes, manifests, and the commands that apply them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.knative.deployment import Deployment, make
    from snooze.knative.errors import KnativeError
    from snooze.knative.manifest import Options
    from snooze.knative.problems import Problem
    from snooze.knative.sizing import Prediction, Size, predict, size
    from snooze.knative.validation import validate

_HOMES = {
    "deployment": ("Deployment", "make"),
    "errors": ("KnativeError",),
    "manifest": ("Options",),
    "problems": ("Problem",),
    "sizing": ("Prediction", "Size", "predict", "size"),
    "validation": ("validate",),
}

__all__ = [
    "Deployment",
    "KnativeError",
    "Options",
    "Prediction",
    "Problem",
    "Size",
    "make",
    "predict",
    "size",
    "validate",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

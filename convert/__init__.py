"""Turns a trained model into a bundle, through every gate, with the evidence for what it claims."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.convert.conversion import Converted, convert
    from snooze.convert.errors import (
        ConversionError,
        GraphRefused,
        Interrupted,
        InvalidData,
        InvalidOption,
        MissingExtra,
        NotAModel,
        NoWorkspace,
        ParityRefused,
        Refused,
        Unfitted,
        Unsupported,
        Untrusted,
    )
    from snooze.convert.options import Options

_HOMES = {
    "conversion": ("Converted", "convert"),
    "errors": (
        "ConversionError",
        "GraphRefused",
        "Interrupted",
        "InvalidData",
        "InvalidOption",
        "MissingExtra",
        "NoWorkspace",
        "NotAModel",
        "ParityRefused",
        "Refused",
        "Unfitted",
        "Unsupported",
        "Untrusted",
    ),
    "options": ("Options",),
}

__all__ = [
    "ConversionError",
    "Converted",
    "GraphRefused",
    "Interrupted",
    "InvalidData",
    "InvalidOption",
    "MissingExtra",
    "NoWorkspace",
    "NotAModel",
    "Options",
    "ParityRefused",
    "Refused",
    "Unfitted",
    "Unsupported",
    "Untrusted",
    "convert",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command's help needs none of it."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"snooze.convert.{module}"), name)
    raise AttributeError(f"module 'snooze.convert' has no attribute {name!r}")

"""Which estimators a fitted model consists of, where they are in it, and which of them read the rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def as_list(value: Any) -> list[Any]:
    """Return the items of a list, tuple or array, or a list of the value itself."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def parts(model: Any) -> Iterator[Any]:
    """Yield the estimator and, recursively, the estimators among its parameters."""
    for _, part in located_parts(model):
        yield part


def located_parts(model: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the estimator and, recursively, those among its parameters, each after the names of the steps to it."""
    yield place, model
    for parameter, value in model.get_params(deep=False).items():
        for item in as_list(value):
            name = item[0] if isinstance(item, tuple) and item and isinstance(item[0], str) else parameter
            for part in item if isinstance(item, tuple) else (item,):
                if hasattr(part, "get_params") and not isinstance(part, type):
                    yield from located_parts(part, (*place, name))


def describe_place(place: tuple[str, ...], part: Any) -> str:
    """Return where a part is, such as `preprocess > num > SplineTransformer`."""
    name = type(part).__name__
    given = place[:-1] if place and place[-1] == name.lower() else place  # as make_pipeline names it
    return " > ".join((*given, name))


def first_step(pipeline: Any) -> int:
    """Return the number of the first step of a pipeline that does anything."""
    return next((at for at, (_, step) in enumerate(pipeline.steps) if step not in (None, "passthrough")), 0)


def stand_in(model: Any) -> Any:
    """Return the fitted estimator inside a model that answers in its place, None if there is none."""
    name = {"FrozenEstimator": "estimator", "SelfTrainingClassifier": "estimator_"}.get(type(model).__name__)
    return getattr(model, name or "best_estimator_", None)


def readers(model: Any) -> list[Any]:
    """Return the fitted estimators inside a model to which it hands its rows as they are; none if it reads them."""
    if (other := stand_in(model)) is not None:
        return [other]
    if hasattr(model, "steps"):
        return [model.steps[first_step(model)][1]]
    if hasattr(model, "transformer_list"):
        return [part for _, part in model.transformer_list if hasattr(part, "get_params")]
    if hasattr(model, "estimators_features_") or hasattr(model, "support_"):  # those inside read some of the columns
        return []
    for name in ("calibrated_classifiers_", "estimators_", "estimator_", "regressor_"):
        found = [part for item in as_list(getattr(model, name, [])) for part in as_list(item)]
        found = [getattr(part, "estimator", part) if name == "calibrated_classifiers_" else part for part in found]
        if found and not all(type(part).__module__.startswith("sklearn.tree") for part in found):
            return [part for part in found if hasattr(part, "get_params")]
    return []


def fitted_parts(model: Any) -> Iterator[Any]:
    """Yield the estimator and, recursively, each estimator that it holds, those that it fitted included, once."""
    seen: set[int] = set()
    pending = [model]
    while pending:
        value = pending.pop()
        if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
            pending += list(value)
        elif id(value) not in seen and type(value).__module__.partition(".")[0] != "builtins" and is_part(value):
            seen.add(id(value))
            pending += vars(value).values()
            if hasattr(value, "get_params"):
                yield value


def couples_rows(part: Any) -> bool:
    """Return whether an estimator's answer for a row depends on the rows beside it."""
    return type(part).__name__ in ("NMF", "MiniBatchNMF") and hasattr(part, "components_")


def is_part(value: Any) -> bool:
    """Return whether a value is an estimator, or one of the calibrated classifiers inside one."""
    return (hasattr(value, "get_params") and not isinstance(value, type)) or hasattr(value, "calibrators")

"""
Rewrites fitted models as equivalent ones that convert: searches as what they found, steps as what they do.

skl2onnx asks an estimator for its prediction wherever it is. scikit-learn asks each step of a pipeline but the last,
and each part of a `FeatureUnion` or `ColumnTransformer`, for its `transform`. Such a part is put into a `Step`.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.columns import Layout, select_by_position
from snooze.convert.frameworks.sklearn.converters.steps import Step
from snooze.convert.frameworks.sklearn.parts import fitted_parts, is_part, stand_in

MAX_DENSE: Final = 2**31  # bytes; a model file has at most as many


def rewrite(model: Any, layout: Layout, transforms: bool = False) -> Any:
    """Return a copy of a model that skl2onnx accepts and that answers the same. `transforms`: with its `transform`."""
    from sklearn.preprocessing import FunctionTransformer

    model = _simplify(copy.deepcopy(model))
    for part in fitted_parts(model):
        if hasattr(part, "transformers_"):  # skl2onnx knows neither masks nor negative positions
            places = part._transformer_to_input_indices
            part.transformers_ = [(name, inner, list(places.get(name, ()))) for name, inner, _ in part.transformers_]
        if hasattr(part, "transformer_list"):
            part.transformer_list = [(name, inner) for name, inner in part.transformer_list if inner != "drop"]
    if layout.form != "texts":
        select_by_position(model, layout)
    for part in fitted_parts(model):
        _make_dense(part)
        if hasattr(part, "steps"):  # skl2onnx knows "passthrough" only in a ColumnTransformer
            part.steps = [
                (name, FunctionTransformer() if step in (None, "passthrough") else step) for name, step in part.steps
            ]
    return _assign(model, transforms)


def _simplify(part: Any) -> Any:
    """Return a part with the estimators that answer for searches, frozen and self-trained ones in their place."""
    while (other := stand_in(part)) is not None:
        part = other
    return _replace(part, _simplify)


def _assign(part: Any, transforms: bool) -> Any:
    """Return a part of which only its `transform`, or only its prediction, is asked, and the same for its parts."""
    if hasattr(part, "steps"):
        last = len(part.steps) - 1
        part.steps = [(name, _assign(step, transforms or at < last)) for at, (name, step) in enumerate(part.steps)]
        return part
    collects = hasattr(part, "transformer_list") or hasattr(part, "transformers")
    part = _replace(part, lambda inner: _assign(inner, collects))
    if transforms:
        return Step(part) if hasattr(part, "transform") and _predicts(part) else part
    return _as_steps(part) if hasattr(part, "support_") and hasattr(part, "estimator_") else part


def _predicts(part: Any) -> bool:
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    return any(ask(part) for ask in (is_classifier, is_regressor, is_clusterer, is_outlier_detector))


def _replace(part: Any, change: Callable[[Any], Any]) -> Any:
    """Return a part after replacing the parts that it holds. Changes the part."""
    for name, value in list(vars(part).items()) if is_part(part) else ():
        vars(part)[name] = _replace_in(value, change)
    return part


def _replace_in(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            value[key] = _replace_in(inner, change)
    elif type(value) in (list, tuple):
        return type(value)([_replace_in(one, change) for one in value])
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for at in np.ndindex(value.shape):
            value[at] = _replace_in(value[at], change)
    return change(value) if is_part(value) else value


def _make_dense(part: Any) -> None:
    """Replace the sparse matrices that a part learned, such as the neighbours that were texts. Changes the part."""
    for name, value in list(vars(part).items()):
        if hasattr(value, "toarray"):
            if 4 * value.shape[0] * value.shape[1] > MAX_DENSE:
                problem = f"it keeps a sparse matrix of {value.shape[0]} x {value.shape[1]}, too large for a graph"
                raise Unsupported(type(part).__name__, f"{problem}; put a TruncatedSVD in front of it")
            setattr(part, name, value.toarray())


def _as_steps(selector: Any) -> Any:
    """Return recursive elimination (RFE, RFECV) that predicts as a pipeline: the selection, then its estimator."""
    from sklearn.pipeline import Pipeline

    return Pipeline([("select", Step(selector)), ("predict", selector.estimator_)])

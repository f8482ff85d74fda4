"""
Scalers of columns and of rows.

Formulas: scikit-learn's user guide, "Standardization, or mean removal and variance scaling", "Normalization" and
"Feature binarization".
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Converter, Nodes, Value

FAR: Final = 10.0  # deviations from zero, where rounding the center begins to show
NORMS: Final = {"l1": "ReduceL1", "l2": "ReduceL2"}


def _convert_min_max_scaler(nodes: Nodes, model: Any) -> None:
    least, most = model.feature_range
    if nodes.dtype == np.float64:
        scaled: Value = nodes.given() * model.scale_ + model.min_
    else:
        scaled = _scale(nodes.given(), model.data_min_, model.scale_, least)
    nodes.answer(_clip(scaled, least, most) if model.clip else scaled)


def _scale(rows: Value, center: Array, factors: Array, offset: float = 0.0) -> Value:
    """
    Return `(rows - center) * factors + offset`, of columns that may be far from zero.

    What is subtracted is the center as single precision holds it, because that difference is exact for rows close to
    it; the rest of the center is part of the offset.
    """
    held = np.asarray(center, np.float32).astype(np.float64)
    return (rows - held) * factors + ((held - center) * factors + offset)


def _convert_standard_scaler(nodes: Nodes, model: Any) -> None:
    center = model.mean_ if isinstance(getattr(model, "mean_", None), np.ndarray) and model.with_mean else 0.0
    _answer_scaled(nodes, center, 1.0 if model.scale_ is None else model.scale_, model.n_features_in_)


def _convert_robust_scaler(nodes: Nodes, model: Any) -> None:
    center, scale = (default if one is None else one for one, default in ((model.center_, 0.0), (model.scale_, 1.0)))
    _answer_scaled(nodes, center, scale, model.n_features_in_)


def _answer_scaled(nodes: Nodes, center: Array | float, scale: Array | float, width: int) -> None:
    rows, centers, scales = nodes.given(), np.broadcast_to(center, width), np.broadcast_to(scale, width)
    if nodes.dtype == np.float64:
        nodes.answer((rows - centers) / scales)
    elif (np.abs(centers) > FAR * scales).any():
        nodes.answer(_scale(rows, centers, 1 / scales))
    else:
        nodes.answer(rows.map("Scaler", domain=ML, offset=centers.tolist(), scale=(1 / scales).tolist()))


def _convert_max_abs_scaler(nodes: Nodes, model: Any) -> None:
    scaled = nodes.given() / model.scale_
    nodes.answer(_clip(scaled, -1.0, 1.0) if model.clip else scaled)


def _clip(value: Value, least: float, most: float) -> Value:
    return value.map("Clip", least, most)


def _convert_normalizer(nodes: Nodes, model: Any) -> None:
    rows = nodes.given()
    norms = rows.map("Abs").reduce("ReduceMax") if model.norm == "max" else rows.reduce(NORMS[model.norm])
    nodes.answer(rows / nodes.where(norms < 10 * float(np.finfo(nodes.dtype).eps), 1.0, norms))


def _convert_binarizer(nodes: Nodes, model: Any) -> None:
    nodes.answer((nodes.given() > float(model.threshold)).cast(nodes.dtype))


def _keep_width(model: Any) -> int:
    return int(model.n_features_in_)


CONVERTERS: Final = (
    Converter("sklearn.preprocessing.StandardScaler", _convert_standard_scaler, _keep_width),
    Converter("sklearn.preprocessing.RobustScaler", _convert_robust_scaler, _keep_width),
    Converter("sklearn.preprocessing.MinMaxScaler", _convert_min_max_scaler, _keep_width),
    Converter("sklearn.preprocessing.MaxAbsScaler", _convert_max_abs_scaler, _keep_width),
    Converter("sklearn.preprocessing.Normalizer", _convert_normalizer, _keep_width),
    Converter("sklearn.preprocessing.Binarizer", _convert_binarizer, _keep_width),
)

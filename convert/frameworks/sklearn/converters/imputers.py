"""
Imputers of missing values, and the indicator of them.

`SimpleImputer`, also of texts, where the empty text is missing: scikit-learn's user guide, "Univariate feature
imputation". `KNNImputer`: formula of its `_calc_impute`. `IterativeImputer`: its `transform`, in which the estimators
of the columns run one after the other, round by round.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.columns import is_missing
from snooze.convert.frameworks.sklearn.converters.distances import inverse, lowest, missing_distances
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Converter, Nodes, Value


def _convert_imputer(nodes: Nodes, imputer: Any) -> None:
    given = nodes.given()
    missing = _find_missing(given, imputer.missing_values)
    kept, indicated = _columns(imputer)
    fills = np.asarray(imputer.statistics_)
    if len(kept) < len(fills):
        given, fills = given.take(kept), fills[kept]
        filled = nodes.where(missing.take(kept), fills[None], given)
    else:
        filled = nodes.where(missing, fills[None], given)
    if indicated:
        filled = nodes.join([filled, missing.take(indicated).cast(nodes.dtype)])
    nodes.answer(filled)


def _find_missing(given: Value, missing: Any) -> Value:
    if given.dtype.kind in "OU":
        keys = ["" if is_missing(missing) else str(missing)]
        found = given.map("LabelEncoder", domain=ML, keys_strings=keys, values_int64s=[1], default_int64=0, dtype=int)
        return found.cast(bool)
    return given.map("IsNaN", dtype=bool) if is_missing(missing) else given.equals(missing)


def _columns(imputer: Any) -> tuple[list[int], list[int]]:
    """Return the columns that are kept, and those with an indicator of missing values."""
    kept = [at for at, value in enumerate(np.asarray(imputer.statistics_).tolist()) if not is_missing(value)]
    return kept, imputer.indicator_.features_.tolist() if imputer.add_indicator else []


def _width(imputer: Any) -> int:
    return sum(map(len, _columns(imputer)))


def _dtype(imputer: Any) -> Any:
    """Return object if the imputer gives texts."""
    return object if imputer._fit_dtype.kind in "OU" else None


def _convert_nearest(nodes: Nodes, imputer: Any) -> None:
    if callable(imputer.metric) or callable(imputer.weights):
        problem = "a graph cannot run a function as metric or weights; use 'nan_euclidean', and 'uniform' or 'distance'"
        raise Unsupported(type(imputer).__name__, problem)
    rows, known, used = nodes.given(), ~imputer._mask_fit_X, np.flatnonzero(imputer._valid_mask)
    missing = _find_missing(rows, imputer.missing_values)
    kept = np.where(known, imputer._fit_X, np.nan)
    distances = missing_distances(nodes.where(missing, np.nan, rows), kept)
    # Columns for which the same rows are known share their neighbours.
    patterns, groups = np.unique(known[:, used], axis=1, return_inverse=True)
    columns = [used[groups.ravel() == at] for at in range(patterns.shape[1])]
    means = [_average(distances, imputer, kept[:, at], patterns[:, number]) for number, at in enumerate(columns)]
    order = np.argsort(np.concatenate(columns))
    imputed = nodes.where(missing.take(used), nodes.join(means).take(order), rows.take(used))
    if imputer.keep_empty_features:
        places = np.full(len(imputer._valid_mask), len(used))
        places[used] = np.arange(len(used))
        imputed = nodes.join([imputed, imputed.take([0]) * 0.0]).take(places)
    _answer(nodes, imputer, imputed, missing)


def _average(distances: Value, imputer: Any, kept: Array, known: Array) -> Value:
    """Return the means of the nearest of the kept rows that are known [rows, columns of `kept`]."""
    donors = kept[known]
    near = lowest(distances.take(np.flatnonzero(known)), min(imputer.n_neighbors, len(donors)))
    weights = inverse(near.distances) if imputer.weights == "distance" else near.distances < np.inf
    weights = weights.cast(distances.dtype)  # 0 for rows that have no column in common
    values = distances.nodes.value(donors).take(near.numbers, axis=0)
    total = weights.sum()
    means = (values * weights.add_axes(2)).sum(1, keep=False) / total
    return distances.nodes.where(total.equals(0.0), donors.mean(0)[None], means)


def _convert_iterative(nodes: Nodes, imputer: Any) -> None:
    if imputer.sample_posterior:
        problem = "a graph cannot draw from the posterior; use sample_posterior=False"
        raise Unsupported(type(imputer).__name__, problem)
    rows = nodes.given()
    missing = _find_missing(rows, imputer.missing_values)
    (first,) = nodes.apply(imputer.initial_imputer_, rows)
    empty = imputer._is_empty_feature
    used = np.arange(len(empty)) if imputer.keep_empty_features else np.flatnonzero(~empty)
    columns = [first.take([at]) for at in range(len(used))]
    for at, others, estimator in imputer.imputation_sequence_:
        answer = nodes.apply(estimator, nodes.join([columns[other] for other in others]))[0]
        # Trees answer in single precision even where skl2onnx declares double precision.
        predicted = Value(nodes, nodes.cast(answer.name, nodes.dtype), nodes.dtype)
        limited = predicted.reshape(-1, 1).map("Clip", imputer._min_value[at], imputer._max_value[at])
        columns[at] = nodes.where(missing.take([used[at]]), limited, columns[at])
    imputed = nodes.join(columns)
    if imputer.imputation_sequence_ and not empty[used].any():
        # Where all values of all rows are missing, scikit-learn answers what it began with.
        whole = missing.take(used).cast(nodes.dtype).reduce("ReduceMin").reduce("ReduceMin", 0)
        imputed = nodes.where(whole > 0.0, first, imputed)
    _answer(nodes, imputer, imputed, missing)


def _convert_indicator(nodes: Nodes, indicator: Any) -> None:
    missing = _find_missing(nodes.given(), indicator.missing_values)
    nodes.answer(missing.take(indicator.features_).cast(nodes.dtype))


def _answer(nodes: Nodes, imputer: Any, imputed: Value, missing: Value) -> None:
    """Answer imputed values, and which values were missing if the imputer adds that."""
    more = [missing.take(imputer.indicator_.features_).cast(imputed.dtype)] if imputer.add_indicator else []
    nodes.answer(nodes.join([imputed, *more]))


def _count_columns(imputer: Any) -> int:
    empty = imputer._is_empty_feature if hasattr(imputer, "_is_empty_feature") else ~imputer._valid_mask
    indicated = len(imputer.indicator_.features_) if imputer.add_indicator else 0
    return len(empty) - (0 if imputer.keep_empty_features else int(empty.sum())) + indicated


CONVERTERS: Final = (
    Converter("sklearn.impute.SimpleImputer", _convert_imputer, _width, _dtype),
    Converter("sklearn.impute.KNNImputer", _convert_nearest, _count_columns),
    # scikit-learn imports it from its public place only after `enable_iterative_imputer`.
    Converter("sklearn.impute._iterative.IterativeImputer", _convert_iterative, _count_columns),
    Converter("sklearn.impute.MissingIndicator", _convert_indicator, lambda indicator: len(indicator.features_)),
)

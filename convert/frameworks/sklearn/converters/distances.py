"""
Distances between rows and the rows that an estimator keeps, and the nearest of them.

Formulas: scikit-learn's `DistanceMetric` and `sklearn.metrics.pairwise`, and for those that are not there
`scipy.spatial.distance`. Columns that are far from zero lose nothing: rows are taken relative to the kept ones.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Value

SPARE: Final = 8  # candidates beyond the neighbours, because the distances that choose candidates are rounded


class Metric(NamedTuple):
    """A distance of scikit-learn: its name, as in `effective_metric_`, and its parameters."""

    name: str
    parameters: Mapping[str, Any]
    signed: bool = False  # Bray-Curtis distances divide by the magnitude of the sum, otherwise by the sum of magnitudes


class Neighbours(NamedTuple):
    """The nearest of the kept rows, in order of their distances: both [rows, neighbours]."""

    distances: Value
    numbers: Value


def find_metric(model: Any) -> Metric:
    """Return the metric of an estimator of neighbours. Raises Unsupported for a function."""
    name = model.effective_metric_
    if not isinstance(name, str):
        problem = "a graph cannot run metric=<a function>; use one of scikit-learn's metrics by name"
        raise Unsupported(type(model).__name__, problem)
    # Brute force leaves rows in double precision to scipy, whose distance differs, if the kept ones are in single.
    signed = model._fit_method == "brute" and model._fit_X.dtype == np.float32
    return Metric(name, model.effective_metric_params_, signed)


def squared_distances(rows: Value, kept: Array) -> Value:
    """
    Return squared Euclidean distances [rows, kept].

    In single precision they are calculated relative to the mean of the kept rows, because large means would cancel; in
    double precision as by scikit-learn, whose rounding errors for large means are then those of the graph.
    """
    return squares_about_mean(rows, kept) if rows.dtype == np.float32 else _expand(rows, np.asarray(kept, np.float64))


def squares_about_mean(rows: Value, kept: Array) -> Value:
    """Return squared Euclidean distances [rows, kept], close to those that are added up of differences, as by scipy."""
    return _expand(*center(rows, kept))


def center(rows: Value, kept: Array) -> tuple[Value, Array]:
    """
    Return rows and kept rows relative to the mean of the kept ones.

    The mean is rounded to what a graph can subtract exactly, and among integers to integers, whose distances are exact.
    """
    kept = np.asarray(kept, np.float64)
    mean = np.nanmean(kept, 0).astype(np.float32).astype(np.float64)
    if (kept == np.round(kept)).all():
        mean = np.round(mean)
    return rows - mean, kept - mean


def distances(rows: Value, kept: Array, metric: Metric) -> Value:
    """Return distances [rows, kept]."""
    if (transform := EUCLIDEAN.get(metric.name)) is not None:
        squares = _expand(*center(*transform(rows, kept, metric.parameters)))
        return squares if metric.name == "sqeuclidean" else squares.map("Sqrt")
    if metric.name not in METRICS:
        raise Unsupported("a metric", f"a graph has no metric {metric.name!r}; use one of {', '.join(sorted(METRICS))}")
    return METRICS[metric.name](rows, kept, metric)


def squares_by_column(rows: Value, kept: Array) -> Value:
    """Return squared Euclidean distances [rows, kept] in double precision, added up column by column as by a tree."""
    rows, kept = rows.cast(np.float64), np.asarray(kept, np.float64)
    differences = [rows.take([at]) - kept[:, at] for at in range(kept.shape[1])]
    total = differences[0] * differences[0]
    for one in differences[1:]:
        total = total + one * one
    return total


def nearest(rows: Value, kept: Array, metric: Metric, count: int) -> Neighbours:
    """Return the nearest kept rows; the first of equally near ones is the nearest."""
    if metric.name not in EUCLIDEAN:
        return lowest(distances(rows, kept, metric), count)
    rows, kept = EUCLIDEAN[metric.name](rows, np.asarray(kept, np.float64), metric.parameters)
    centered = center(rows, kept)
    candidates = min(count + SPARE, len(kept))
    numbers = lowest(_expand(*centered), candidates).numbers
    numbers = lowest(numbers, candidates).distances  # in the order in which they were kept
    if rows.dtype == np.float32:  # in double precision, rounding the differences from the mean would break ties
        rows, kept = centered
    differences = rows.add_axes(1) - rows.nodes.value(kept, rows.dtype).take(numbers, axis=0)
    found = lowest((differences * differences).sum(2, keep=False), count)
    squares = found.distances
    exact = squares if metric.name == "sqeuclidean" else squares.map("Sqrt")
    return Neighbours(exact, numbers.map("GatherElements", found.numbers, axis=1))


def missing_distances(rows: Value, kept: Array) -> Value:
    """
    Return distances of rows with missing values (NaN) [rows, kept].

    They are those in the columns that both have, scaled up to all columns, and infinite if they have none in common.
    """
    known = (~np.isnan(kept)).astype(np.float64)
    if rows.dtype == np.float32:
        rows, kept = center(rows, np.where(known.any(0), kept, 0.0))
    missing, kept = rows.map("IsNaN", dtype=bool), np.nan_to_num(kept)
    filled, has = rows.nodes.where(missing, 0.0, rows), (~missing).cast(rows.dtype)
    squares = (filled * filled) @ known.T + filled @ (-2 * kept * known).T + has @ (kept**2 * known).T
    shared = has @ known.T
    scaled = (squares.map("Max", 0.0) * kept.shape[1] / shared).map("Sqrt")
    return rows.nodes.where(shared.equals(0.0), np.inf, scaled)


def inverse(found: Value) -> Value:
    """Return weights that are the inverse of distances; next to a distance of 0, others do not count."""
    zero = found.equals(0.0).cast(found.dtype)
    return found.nodes.where(zero.reduce("ReduceMax") > 0.0, zero, 1 / found)


def _expand(rows: Value, kept: Array) -> Value:
    """Return squared distances as `|x|² - 2xy + |y|²`."""
    squares: Value = rows @ (-2 * kept.T) + (rows * rows).sum() + (kept**2).sum(1)
    return squares.map("Max", 0.0)


def lowest(values: Value, count: int) -> Neighbours:
    """Return the lowest values of each row and their positions, in order, the first of equals first."""
    nodes = values.nodes
    names = [nodes.name("lowest"), nodes.name("positions")]
    nodes.add_several("TopK", [values.name, nodes.constant(np.array([count]))], names, axis=1, largest=0)
    return Neighbours(Value(nodes, names[0], values.dtype), Value(nodes, names[1], np.int64))


def _pairs(rows: Value, kept: Array) -> tuple[Value, Array]:
    """Return rows [rows, 1, columns] and kept rows [1, kept, columns]: what is made of them has all three sizes."""
    return rows.add_axes(1), kept[None]


def _divide(number: Value, by: Value) -> Value:
    """Return a quotient, 0 where the divisor is 0."""
    return number.nodes.where(by.equals(0.0), 0.0, number / by)


def _minkowski(rows: Value, kept: Array, p: float, weights: Any = None) -> Value:
    each, all_kept = _pairs(*center(rows, kept))
    differences = (each - all_kept).map("Abs")
    if p == np.inf:
        return differences.reduce("ReduceMax", 2, keep=False)
    powers = differences if p == 1 else differences**p
    total = (powers if weights is None else powers * np.asarray(weights)).sum(2, keep=False)
    return total if p == 1 else total ** (1 / p)


def _canberra(rows: Value, kept: Array, metric: Metric) -> Value:
    each, all_kept = _pairs(rows, kept)
    return _divide((each - all_kept).map("Abs"), each.map("Abs") + np.abs(all_kept)).sum(2, keep=False)


def _braycurtis(rows: Value, kept: Array, metric: Metric) -> Value:
    each, all_kept = _pairs(rows, kept)
    differences = (each - all_kept).map("Abs").sum(2, keep=False)
    if metric.signed:
        return differences / (each + all_kept).map("Abs").sum(2, keep=False)
    return _divide(differences, (each.map("Abs") + np.abs(all_kept)).sum(2, keep=False))


def _hamming(rows: Value, kept: Array, metric: Metric) -> Value:
    each, all_kept = _pairs(rows, kept)
    differing = (~each.equals(all_kept)).cast(rows.dtype)
    weights = np.asarray(metric.parameters.get("w", np.ones(kept.shape[1])))
    shares: Array = weights / weights.sum()
    return (differing * shares).sum(2, keep=False)


def _cosine(rows: Value, kept: Array, metric: Metric) -> Value:
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    lengths = (rows * rows).sum().map("Sqrt")
    products = _divide(rows, lengths) @ (kept / np.where(norms == 0, 1, norms)).T
    return (1 - products).map("Clip", 0.0, 2.0)


def _correlation(rows: Value, kept: Array, metric: Metric) -> Value:
    rows, kept = rows - rows.reduce("ReduceMean"), kept - kept.mean(1, keepdims=True)
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    products = rows / (rows * rows).sum().map("Sqrt") @ (kept / np.where(norms == 0, 1, norms)).T
    return -products + np.where(norms.T == 0, np.inf, 1.0)  # nothing is near to a row that is constant


def _haversine(rows: Value, kept: Array, metric: Metric) -> Value:
    latitude, longitude = rows.take([0]), rows.take([1])
    squares = ((latitude - kept[:, 0]) * 0.5).map("Sin") ** 2
    turned = ((longitude - kept[:, 1]) * 0.5).map("Sin") ** 2
    squares = squares + turned * latitude.map("Cos") * np.cos(kept[:, 0])
    # Double precision has no arcsine.
    return 2 * (squares / (1 - squares).map("Max", 0.0)).map("Sqrt").map("Atan")


def _scale(rows: Value, kept: Array, scales: Any) -> tuple[Value, Array]:
    rows, kept = center(rows, kept)
    return rows * np.asarray(scales), kept * np.asarray(scales)


def _rotate(rows: Value, kept: Array, parameters: Mapping[str, Any]) -> tuple[Value, Array]:
    """Return rows between which Euclidean distances are Mahalanobis distances."""
    inverse = parameters["VI"] if parameters.get("VI") is not None else np.linalg.inv(parameters["V"])
    root = np.linalg.cholesky(inverse)
    rows, kept = center(rows, kept)
    return rows @ root, kept @ root


class Counts(NamedTuple):
    """In how many columns of two rows both are true, one of them, or neither [rows, kept], of `columns`."""

    both: Value
    first: Value
    second: Value
    neither: Value
    columns: int

    @property
    def one(self) -> Value:
        return self.first + self.second


def _count(rows: Value, kept: Array) -> Counts:
    kept, columns = (kept != 0).astype(np.float64), kept.shape[1]
    given = (~rows.equals(0.0)).cast(rows.dtype)
    both = given @ kept.T
    first, second = given.sum() - both, kept.sum(1) - both
    return Counts(both, first, second, columns - both - first - second, columns)


def _yule(found: Counts) -> Value:
    mixed = found.first * found.second
    return _divide(2 * mixed, found.both * found.neither + mixed)


def _on_counts(formula: Callable[[Counts], Value]) -> Callable[[Value, Array, Metric], Value]:
    return lambda rows, kept, metric: formula(_count(rows, kept))


EUCLIDEAN: Final[Mapping[str, Callable[[Value, Array, Mapping[str, Any]], tuple[Value, Array]]]] = {
    # what makes Euclidean distances of rows the metric
    **dict.fromkeys(("euclidean", "l2", "sqeuclidean"), lambda rows, kept, _: (rows, kept)),
    "seuclidean": lambda rows, kept, given: _scale(rows, kept, 1 / np.sqrt(given["V"])),
    "mahalanobis": _rotate,
}
METRICS: Final[Mapping[str, Callable[[Value, Array, Metric], Value]]] = {
    "precomputed": lambda rows, kept, _: rows,
    "minkowski": lambda rows, kept, metric: _minkowski(rows, kept, metric.parameters["p"], metric.parameters.get("w")),
    "p": lambda rows, kept, metric: _minkowski(rows, kept, metric.parameters["p"]),
    **dict.fromkeys(("manhattan", "cityblock", "l1"), lambda rows, kept, _: _minkowski(rows, kept, 1)),
    **dict.fromkeys(("chebyshev", "infinity"), lambda rows, kept, _: _minkowski(rows, kept, np.inf)),
    "nan_euclidean": lambda rows, kept, _: missing_distances(rows, kept),
    "canberra": _canberra,
    "braycurtis": _braycurtis,
    "hamming": _hamming,
    "cosine": _cosine,
    "correlation": _correlation,
    "haversine": _haversine,
    "jaccard": _on_counts(lambda found: _divide(found.one, found.both + found.one)),
    "dice": _on_counts(lambda found: found.one / (2 * found.both + found.one)),
    "russellrao": _on_counts(lambda found: 1 - found.both / found.columns),
    **dict.fromkeys(
        ("rogerstanimoto", "sokalmichener"), _on_counts(lambda found: 2 * found.one / (found.columns + found.one))
    ),
    "sokalsneath": _on_counts(lambda found: 2 * found.one / (found.both + 2 * found.one)),
    "yule": _on_counts(_yule),
}

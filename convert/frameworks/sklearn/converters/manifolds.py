"""
Manifolds on which new rows are placed by their nearest neighbours among the kept rows.

Formulas: scikit-learn's user guide, "Isomap", after J. B. Tenenbaum et al., "A global geometric framework for
nonlinear dimensionality reduction" (2000), and `sklearn.manifold.Isomap.transform`; "Locally Linear Embedding", after
S. T. Roweis and L. K. Saul (2000), and `sklearn.manifold._locally_linear.barycenter_weights`.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import lowest, squared_distances
from snooze.convert.frameworks.sklearn.converters.kernels import kernel
from snooze.convert.frameworks.sklearn.converters.loops import repeat
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

EUCLIDEAN: Final = ("euclidean", "l2", "sqeuclidean")
MANHATTAN: Final = ("manhattan", "cityblock", "l1")


def _convert_isomap(nodes: Nodes, model: Any) -> None:
    """Intermediate values have rows x neighbours x kept rows numbers, or rows x kept rows x columns."""
    rows, metric, count = nodes.given(), model.nbrs_.effective_metric_, model.n_neighbors
    if count is None:
        shortest = _find_paths(_measure_all(rows, model.nbrs_), model)
    else:
        if metric in EUCLIDEAN:  # distances anew from differences, because squares of large numbers cancel
            numbers = _find_neighbours(rows, model.nbrs_._fit_X, count)
            lengths = _measure(_subtract(rows, model.nbrs_._fit_X, numbers), model.nbrs_)
        else:
            lengths, numbers = lowest(_measure_all(rows, model.nbrs_), count)
        paths = nodes.value(model.dist_matrix_).take(numbers, axis=0) + lengths.add_axes(2)
        shortest = paths.reduce("ReduceMin", keep=False)
    pca = model.kernel_pca_
    scales = np.sqrt(np.where(pca.eigenvalues_ == 0, np.inf, pca.eigenvalues_))
    vectors = pca.eigenvectors_ / scales
    centers = (pca._centerer.K_fit_rows_ - pca._centerer.K_fit_all_) @ vectors
    nodes.answer((shortest * shortest) @ (-0.5 * (vectors - vectors.mean(0))) - centers)


def _find_paths(lengths: Value, model: Any) -> Value:
    """Return the shortest paths to each kept row over one within the radius, one after the other to save memory."""
    nodes = lengths.nodes
    within = nodes.where(lengths <= model.radius, lengths, np.inf)
    kept = nodes.value(model.dist_matrix_)

    def go_over(number: Value, shortest: Value, within: Value) -> tuple[Value, Sequence[Value]]:
        first = within.take(number.reshape(1)) + kept.take(number.reshape(1), axis=0)
        return number < len(model.dist_matrix_), [shortest.map("Min", first)]

    return repeat(nodes, go_over, len(model.dist_matrix_), [lengths * 0.0 + np.inf], [within])[0]


def _measure_all(rows: Value, neighbours: Any) -> Value:
    """Return the distances of all kept rows [rows, kept]."""
    metric, kept = neighbours.effective_metric_, neighbours._fit_X
    if metric == "precomputed":
        return rows
    if metric == "cosine":
        return 1.0 - kernel(rows, kept, "cosine", None)
    return _measure(rows.add_axes(1) - kept[None], neighbours)


def _measure(away: Value, neighbours: Any) -> Value:
    """Return the lengths of differences [rows, kept, columns]. Raises Unsupported for a metric that is not listed."""
    metric, sizes = neighbours.effective_metric_, away.map("Abs")
    if metric in MANHATTAN:
        return sizes.sum(2, keep=False)
    if metric == "chebyshev":
        return sizes.reduce("ReduceMax", 2, keep=False)
    if metric == "minkowski" and neighbours.effective_metric_params_.get("w") is None:
        power = float(neighbours.effective_metric_params_["p"])
        return (sizes**power).sum(2, keep=False) ** (1 / power)
    if metric in EUCLIDEAN:
        squares = (away * away).sum(2, keep=False)
        return squares if metric == "sqeuclidean" else squares.map("Sqrt")
    problem = f"its converter has no metric {metric!r}"
    raise Unsupported("Isomap", f"{problem}; use euclidean, manhattan, chebyshev, minkowski, cosine or precomputed")


def _convert_locally_linear(nodes: Nodes, model: Any) -> None:
    """
    Place rows by weights of their neighbours, in double precision, because neighbours are often close to dependent.

    Intermediate values have rows x neighbours x (neighbours + columns) numbers.
    """
    rows, kept, count = nodes.given().cast(np.float64), model.nbrs_._fit_X, model.n_neighbors
    numbers = _find_neighbours(rows, kept, count)
    away = _subtract(rows, kept, numbers)
    products = away @ away.transpose(0, 2, 1)
    trace = (away * away).sum(2, keep=False).sum()
    scale = nodes.where(trace > 0.0, trace, 1.0).add_axes(2)  # by which the elimination becomes accurate
    weights = _solve(products / scale + model.reg * np.eye(count)[None], count)
    weights = weights / weights.sum(1)
    neighbours = nodes.value(model.embedding_, np.float64).take(numbers, axis=0)
    nodes.answer((weights * neighbours).sum(1, keep=False).cast(nodes.dtype))


def _solve(matrices: Value, size: int) -> Value:
    """
    Return the solutions [rows, size, 1] of systems [rows, size, size] with ones on the right.

    The systems must be positive definite, with a trace of about 1.
    """
    ones = matrices.take([0], axis=2) * 0.0 + 1.0
    system = matrices.nodes.join([matrices, ones], axis=2)
    for at in range(size):  # Gauss-Jordan elimination, which needs no pivoting then
        pivot = system.take([at], axis=1)
        pivot = pivot / pivot.take([at], axis=2)
        system = system - (system.take([at], axis=2) - np.eye(size)[None, :, at : at + 1]) * pivot
    return system.take([size], axis=2)


def _find_neighbours(rows: Value, kept: Array, count: int) -> Value:
    """
    Return the numbers of the nearest kept rows.

    In double precision, they are found by `|y|² - 2xy` as in scikit-learn, where integers give exact ties.
    """
    kept = np.asarray(kept, np.float64)
    if rows.dtype == np.float64:
        return lowest(rows @ (-2 * kept.T) + (kept**2).sum(1), count).numbers
    return lowest(squared_distances(rows, kept), count).numbers


def _subtract(rows: Value, kept: Array, numbers: Value) -> Value:
    """Return the differences of the kept rows with these numbers from rows [rows, numbers, columns]."""
    nodes = rows.nodes
    return nodes.value(kept, rows.dtype).take(numbers, axis=0) - rows.add_axes(1)


CONVERTERS: Final = (
    Converter("sklearn.manifold.Isomap", _convert_isomap, lambda model: model.embedding_.shape[1]),
    Converter(
        "sklearn.manifold.LocallyLinearEmbedding", _convert_locally_linear, lambda model: model.embedding_.shape[1]
    ),
)

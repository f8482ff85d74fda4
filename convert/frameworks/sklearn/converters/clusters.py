"""
Clusters: the nearest center, the distances to all of them, and features that are pooled by cluster.

Formulas: scikit-learn's user guide, "Clustering"; `BisectingKMeans._predict_recursive`, which goes down a tree of
centers; and `AgglomerationTransform.transform`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import center, lowest, squared_distances
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value


def _convert_centers(nodes: Nodes, model: Any) -> None:
    squares = squared_distances(nodes.given(), model.cluster_centers_)
    _answer(nodes, squares.argmin(), squares)


def _convert_birch(nodes: Nodes, model: Any) -> None:
    squares = squared_distances(nodes.given(), model.subcluster_centers_)
    _answer(nodes, nodes.look_up(model.subcluster_labels_, squares.argmin()), squares)


def _convert_bisecting(nodes: Nodes, model: Any) -> None:
    rows = nodes.given()
    squares = squared_distances(rows, model.cluster_centers_)
    labels = squares.argmin() if model._bisecting_tree.left is None else _descend(rows, model)
    _answer(nodes, labels, squares)


def _convert_label(nodes: Nodes, model: Any) -> None:
    rows = nodes.given()
    if not len(model.cluster_centers_):  # affinity propagation did not converge
        nodes.answer(rows.take(0).cast(np.int64) * 0 - 1)
    else:
        nodes.answer(squared_distances(rows, model.cluster_centers_).argmin())


def _convert_agglomeration(nodes: Nodes, model: Any) -> None:
    pool = POOLS.get(model.pooling_func)
    if pool is None:
        name = getattr(model.pooling_func, "__name__", model.pooling_func)
        problem = f"a graph cannot run pooling_func={name}; use numpy.mean, median, max, min or sum"
        raise Unsupported(type(model).__name__, problem)
    rows = nodes.given()
    members = [np.flatnonzero(model.labels_ == label) for label in np.unique(model.labels_)]
    nodes.answer(nodes.join([pool(rows.take(columns), len(columns)) for columns in members]))


def _answer(nodes: Nodes, labels: Value, squares: Value) -> None:
    """Answer labels and distances, or only these in the middle of a model."""
    distances = squares.map("Sqrt")
    nodes.answer(*([labels, distances] if len(nodes.outputs) > 1 else [distances]))


def _descend(rows: Value, model: Any) -> Value:
    """Return the label of the leaf for which each decision on the way to it is the one that a row makes."""
    splits: list[tuple[Array, Array]] = []
    leaves: list[tuple[int, dict[int, int]]] = []

    def walk(node: Any, way: dict[int, int]) -> None:
        if node.left is None:
            leaves.append((node.label, way))
        else:
            at = len(splits)
            splits.append((node.left.center, node.right.center))
            walk(node.left, {**way, at: -1})
            walk(node.right, {**way, at: 1})

    walk(model._bisecting_tree, {})
    rows, centers = center(rows, np.concatenate(splits) + getattr(model, "_X_mean", 0))
    left, right = centers[::2], centers[1::2]
    # A row goes to the right if it is nearer to the center there than to that on the left.
    decisions = (rows @ (right - left).T > ((right**2).sum(1) - (left**2).sum(1)) / 2).cast(rows.dtype)
    ways = np.array([[way.get(at, 0) for _, way in leaves] for at in range(len(splits))])
    agreeing = decisions @ ways - (ways > 0).sum(0)  # 0 at the end of the way, less elsewhere
    return rows.nodes.look_up([label for label, _ in leaves], agreeing.argmax())


def _median(columns: Value, count: int) -> Value:
    ordered = lowest(columns, count // 2 + 1).distances
    middle = [count // 2] if count % 2 else [count // 2 - 1, count // 2]
    return ordered.take(middle).reduce("ReduceMean")


POOLS: Final[Mapping[Callable[..., Any], Callable[[Value, int], Value]]] = {
    np.mean: lambda columns, _: columns.reduce("ReduceMean"),
    np.sum: lambda columns, _: columns.sum(),
    np.max: lambda columns, _: columns.reduce("ReduceMax"),
    np.min: lambda columns, _: columns.reduce("ReduceMin"),
    np.median: _median,
}


def _count_clusters(model: Any) -> int:
    return len(model.cluster_centers_)


CONVERTERS: Final = (
    *(
        Converter(f"sklearn.cluster.{name}", _convert_centers, _count_clusters)
        for name in ("KMeans", "MiniBatchKMeans")
    ),
    Converter("sklearn.cluster.BisectingKMeans", _convert_bisecting, _count_clusters),
    Converter("sklearn.cluster.Birch", _convert_birch, lambda model: len(model.subcluster_centers_)),
    Converter("sklearn.cluster.MeanShift", _convert_label, _count_clusters),
    Converter("sklearn.cluster.AffinityPropagation", _convert_label, _count_clusters),
)
TRANSFORMS: Final = (
    Converter("sklearn.cluster.FeatureAgglomeration", _convert_agglomeration, lambda model: model.n_clusters_),
)

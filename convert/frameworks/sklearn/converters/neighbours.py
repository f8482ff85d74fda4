"""
Estimators that answer from the nearest of the rows that they keep, or from all those within a radius.

Formulas: scikit-learn's user guide, "Nearest Neighbors". Trees of neighbours and brute force find the same ones, except
that scikit-learn chooses arbitrarily among rows that are equally far away; here it is the first.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import (
    Neighbours,
    distances,
    find_metric,
    inverse,
    nearest,
    squares_by_column,
)
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.outputs import find_classes

MAX_COLUMNS: Final = 15  # of rows that scikit-learn puts into a tree by itself


def _convert_nearest_classifier(nodes: Nodes, model: Any) -> None:
    found = _find(nodes, model, model.n_neighbors)
    _classify(nodes, model, _average(found, _votes(model), _weigh(model, found.distances)))


def _convert_nearest_regressor(nodes: Nodes, model: Any) -> None:
    found = _find(nodes, model, model.n_neighbors)
    nodes.answer(_average(found, _targets(model), _weigh(model, found.distances)))


def _convert_nearest_transformer(nodes: Nodes, model: Any) -> None:
    measured = model.mode == "distance"
    found = _find(nodes, model, model.n_neighbors + measured)  # a row that was kept is its own nearest neighbour
    rows = found.numbers.map("Shape", start=0, end=1)
    shape = nodes.join([rows, nodes.value(np.array([model.n_samples_fit_]))], axis=0)
    zeros = shape.map("ConstantOfShape", dtype=np.float32).cast(nodes.dtype)
    values = found.distances if measured else (found.numbers * 0 + 1).cast(nodes.dtype)
    nodes.answer(zeros.map("ScatterElements", found.numbers, values, axis=1))


def _convert_radius_classifier(nodes: Nodes, model: Any) -> None:
    weights = _weigh_within(nodes, model)
    outliers = model.outlier_label_ or [None] * len(find_classes(model))
    alone = weights.sum().equals(0.0)
    defaults = [classes == label for classes, label in zip(find_classes(model), outliers, strict=True)]
    shares = nodes.where(alone, np.concatenate(defaults).astype(float)[None], _shares(weights, _votes(model)))
    if model.outlier_label_ is None:  # scikit-learn refuses rows without neighbours; their shares are NaN here
        shares = nodes.where(alone, np.nan, shares)
    _classify(nodes, model, shares, outliers)


def _convert_radius_regressor(nodes: Nodes, model: Any) -> None:
    weights = _weigh_within(nodes, model)
    values = _targets(model)
    with np.errstate(invalid="ignore"):  # of integers
        unknown = np.full_like(np.asarray(model._y).reshape(len(values), -1)[:1], np.nan).astype(np.float64)
    nodes.answer(nodes.where(weights.sum().equals(0.0), unknown, _shares(weights, values)))


def _convert_radius_transformer(nodes: Nodes, model: Any) -> None:
    found, within = _measure(nodes, model)
    nodes.answer(within.cast(nodes.dtype) if model.mode == "connectivity" else nodes.where(within, found, 0.0))


def _find(nodes: Nodes, model: Any, count: int) -> Neighbours:
    return nearest(nodes.given(), model._fit_X, find_metric(model), count)


def _measure(nodes: Nodes, model: Any) -> tuple[Value, Value]:
    """
    Return the distances of all kept rows [rows, kept], and which are within the radius.

    A distance that is the radius itself is decided by rounding, so it is calculated as in scikit-learn's trees.
    """
    rows, kept, metric = nodes.given(), model._fit_X, find_metric(model)
    if metric.name == "euclidean" and model._fit_method != "brute" and kept.shape[1] <= MAX_COLUMNS:
        squares = squares_by_column(rows, kept)
        return squares.map("Sqrt").cast(nodes.dtype), squares <= model.radius**2
    found = distances(rows, kept, metric)
    return found, found <= model.radius


def _weigh(model: Any, found: Value) -> Value | None:
    """Return the weights of neighbours from their distances, None if all are the same."""
    if callable(model.weights):
        problem = "a graph cannot run weights=<a function>; use 'uniform' or 'distance'"
        raise Unsupported(type(model).__name__, problem)
    return inverse(found) if model.weights == "distance" else None


def _weigh_within(nodes: Nodes, model: Any) -> Value:
    """Return the weights of all kept rows [rows, kept], 0 for those that are not within the radius."""
    found, within = _measure(nodes, model)
    weights = _weigh(model, found)
    return within.cast(nodes.dtype) if weights is None else nodes.where(within, weights, 0.0)


def _average(found: Neighbours, kept: Array, weights: Value | None) -> Value:
    """Return the means of what is known of the neighbours [rows, columns of `kept`]."""
    values = found.numbers.nodes.value(kept.astype(np.float64)).take(found.numbers, axis=0)
    if weights is None:
        return values.reduce("ReduceMean", 1, keep=False)
    columns = weights.add_axes(2)
    return (values * columns).sum(1, keep=False) / weights.sum()


def _shares(weights: Value, kept: Array) -> Value:
    return weights @ kept / weights.sum()


def _targets(model: Any) -> Array:
    return np.asarray(model._y, np.float64).reshape(len(model._y), -1)


def _votes(model: Any) -> Array:
    """Return 1 for the class of each kept row and 0 for the others [kept, classes of all targets]."""
    numbers = np.asarray(model._y).reshape(len(model._y), -1)
    return np.concatenate([np.eye(len(one))[numbers[:, at]] for at, one in enumerate(find_classes(model))], axis=1)


def _classify(nodes: Nodes, model: Any, shares: Value, outliers: Sequence[Any] | None = None) -> None:
    """Answer labels and the shares of the classes of each target. `outliers`: the labels where all shares are 0."""
    targets = find_classes(model)
    limits = np.cumsum([0, *map(len, targets)])
    parts = [shares.take(np.arange(*limits[at : at + 2])) for at in range(len(targets))] if targets[1:] else [shares]
    labels = []
    for part, classes, outlier in zip(parts, targets, outliers or [None] * len(targets), strict=True):
        winners = part.argmax()
        if outlier is not None and outlier not in classes:
            winners = nodes.where(part.reduce("ReduceMax", keep=False).equals(0.0), len(classes), winners)
            classes = np.append(classes, outlier)
        labels.append(nodes.look_up(classes, winners))
    if len(targets) == 1:
        nodes.answer(labels[0], shares)
    else:
        nodes.answer_targets(nodes.join([label.reshape(-1, 1) for label in labels]), parts)


def _count_targets(model: Any) -> int:
    return 1 if model._y.ndim == 1 else int(model._y.shape[1])


def _count_kept(model: Any) -> int:
    return int(model.n_samples_fit_)


CONVERTERS: Final = (
    Converter("sklearn.neighbors.KNeighborsClassifier", _convert_nearest_classifier),
    Converter("sklearn.neighbors.KNeighborsRegressor", _convert_nearest_regressor, _count_targets),
    Converter("sklearn.neighbors.KNeighborsTransformer", _convert_nearest_transformer, _count_kept),
    Converter("sklearn.neighbors.RadiusNeighborsClassifier", _convert_radius_classifier),
    Converter("sklearn.neighbors.RadiusNeighborsRegressor", _convert_radius_regressor, _count_targets),
    Converter("sklearn.neighbors.RadiusNeighborsTransformer", _convert_radius_transformer, _count_kept),
)

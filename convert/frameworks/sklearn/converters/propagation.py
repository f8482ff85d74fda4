"""
Labels that spread to neighbours: `LabelPropagation` and `LabelSpreading`.

Formulas: `sklearn.semi_supervised`, `BaseLabelPropagation.predict_proba`, which both share: the mean of the label
distributions of the rows seen in training, weighted by a kernel, or of the nearest ones.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import lowest, squared_distances
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value


def _convert_propagation(nodes: Nodes, model: Any) -> None:
    if callable(model.kernel):
        problem = f"its kernel is the function '{getattr(model.kernel, '__name__', model.kernel)}'"
        raise Unsupported(type(model).__name__, f"{problem}, which a graph cannot run; use kernel='rbf' or 'knn'")
    sums = _sum_nearest(nodes, model) if model.kernel == "knn" else _sum_weighted(nodes, model)
    nodes.classify(sums / sums.sum(), model.classes_, sums.argmax())


def _sum_weighted(nodes: Nodes, model: Any) -> Value:
    """
    Return sums weighted by `exp(-gamma * d²)`, in single precision in proportion: the largest weight is 1.

    They are 0, and so the probabilities NaN, where all weights are too small for scikit-learn's precision.
    """
    exponents = squared_distances(nodes.given(), model.X_) * -model.gamma
    highest, digits = exponents.reduce("ReduceMax"), np.finfo(np.float64)
    least = (digits.minexp - digits.nmant - 1) * np.log(2)  # of which the exponential is not 0
    weights = (exponents if nodes.dtype == np.float64 else exponents - highest).map("Exp")
    sums: Value = (weights * (highest >= float(least)).cast(nodes.dtype)) @ model.label_distributions_
    return sums


def _sum_nearest(nodes: Nodes, model: Any) -> Value:
    """Return sums over nearest rows, found with as many digits as possible, because which they are decides."""
    center = model.X_.mean(0)
    distances = squared_distances(nodes.given().cast(np.float64) - center, model.X_ - center)
    distributions = nodes.value(np.asarray(model.label_distributions_), nodes.dtype)
    return distributions.take(lowest(distances, model.n_neighbors).numbers, axis=0).sum(1, keep=False)


CONVERTERS: Final = (
    Converter("sklearn.semi_supervised.LabelPropagation", _convert_propagation),
    Converter("sklearn.semi_supervised.LabelSpreading", _convert_propagation),
)

"""
Local outlier factors: the density around a row in relation to that around its neighbours.

Formulas: scikit-learn's user guide, "Local Outlier Factor"; M. Breunig et al., "LOF: Identifying Density-based Local
Outliers" (2000).
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.distances import find_metric, nearest
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column

SMALLEST: Final = 1e-10  # distance, as scikit-learn adds it in case that neighbours are equal


def _convert_local_outlier_factor(nodes: Nodes, model: Any) -> None:
    found = nearest(nodes.given(), model._fit_X, find_metric(model), model.n_neighbors_)

    def look_up(kept: Any) -> Value:
        return nodes.value(np.asarray(kept, np.float64)).take(found.numbers, axis=0)

    reachable = found.distances.map("Max", look_up(model._distances_fit_X_[:, model.n_neighbors_ - 1]))
    distance = reachable.reduce("ReduceMean") + SMALLEST
    score = -look_up(model._lrd).reduce("ReduceMean") * distance - model.offset_
    nodes.answer(nodes.where(score < 0.0, nodes.value(-1), nodes.value(1)), score)


CONVERTERS: Final = (Converter("sklearn.neighbors.LocalOutlierFactor", _convert_local_outlier_factor, one_column),)

"""
Partial least squares and canonical correlation.

Formulas: scikit-learn's user guide, "Cross decomposition"; `predict` and `transform` of
`sklearn.cross_decomposition._pls`, whose means and deviations are private there.
"""

from typing import Any, Final

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.converters.projections import project

PREDICTING: Final = ("PLSRegression", "PLSCanonical", "CCA")


def _convert_prediction(nodes: Nodes, model: Any) -> None:
    nodes.answer(project(nodes.given(), model.coef_.T, model._x_mean, model.intercept_))


def _convert_transform(nodes: Nodes, model: Any) -> None:
    directions = model.x_rotations_ if hasattr(model, "x_rotations_") else model.x_weights_
    nodes.answer(project(nodes.given(), directions / model._x_std[:, None], model._x_mean))


def _count_targets(model: Any) -> int:
    return len(model.coef_)


def _count_components(model: Any) -> int:
    return int(model.x_weights_.shape[1])


CONVERTERS: Final = (
    *(Converter(f"sklearn.cross_decomposition.{one}", _convert_prediction, _count_targets) for one in PREDICTING),
    Converter("sklearn.cross_decomposition.PLSSVD", _convert_transform, _count_components),
)
TRANSFORMS: Final = tuple(
    Converter(f"sklearn.cross_decomposition.{one}", _convert_transform, _count_components) for one in PREDICTING
)

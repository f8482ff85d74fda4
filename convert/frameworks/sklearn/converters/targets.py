"""
Estimators with a model for each target: `MultiOutputClassifier` and `MultiOutputRegressor`.

Classifiers of several targets answer with a label for each, and the probabilities of each as outputs of their own.
"""

from typing import Any, Final

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.converters.responses import respond


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    answers = [nodes.apply(one) for one in model.estimators_]
    labels = nodes.join([label.reshape(-1, 1) for label, *_ in answers])
    nodes.answer_targets(labels, [scores.cast(nodes.dtype) for _, *both in answers for scores in both[:1]])


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(nodes.join([respond(nodes, one, "predict") for one in model.estimators_]))


CONVERTERS: Final = (
    Converter("sklearn.multioutput.MultiOutputClassifier", _convert_classifier),
    Converter("sklearn.multioutput.MultiOutputRegressor", _convert_regressor, lambda model: len(model.estimators_)),
)

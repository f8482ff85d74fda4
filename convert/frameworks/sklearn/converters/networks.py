"""
Multi-layer perceptrons.

Formulas: scikit-learn's user guide, "Neural network models (supervised)", and `ACTIVATIONS` of
`sklearn.neural_network`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.outputs import is_multilabel

ACTIVATIONS: Final = {"logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "exp": "Exp", "identity": "Identity"}


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(_run(nodes, model))


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    if len(model.classes_) < 2:
        problem = "it was trained on one class, and gives probabilities of two"
        raise Unsupported(type(model).__name__, f"{problem}; train it on rows of several classes")
    scores = _run(nodes, model)
    if is_multilabel(model):
        nodes.answer((scores > 0.5).cast(np.int64), scores)
        return
    if model.n_outputs_ == 1:  # of the second class; a tie goes to the first, as in argmax
        scores = nodes.join([1 - scores, scores])
    nodes.classify(scores, model.classes_)


def _run(nodes: Nodes, model: Any) -> Value:
    """Return the values of the last layer [rows, outputs]."""
    value, last = nodes.given(), len(model.coefs_) - 1
    for at, (weights, biases) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        value = value @ weights + biases
        kind = model.out_activation_ if at == last else model.activation
        value = value.map("Softmax", axis=1) if kind == "softmax" else value.map(ACTIVATIONS[kind])
    return value


CONVERTERS: Final = (
    Converter("sklearn.neural_network.MLPRegressor", _convert_regressor, lambda model: model.n_outputs_),
    Converter("sklearn.neural_network.MLPClassifier", _convert_classifier),
)

"""
Estimators that vote: `VotingClassifier` and `VotingRegressor`.

Source: scikit-learn's user guide, "Voting Classifier" and "Voting Regressor".
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.responses import respond


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    answers, weights = _answers(nodes, model), _weights(model)
    if model.voting == "soft":
        nodes.classify(_average(answers, weights), model.classes_)
        return
    numbers = np.arange(len(model.classes_))
    # In double precision, because equal sums of weights decide.
    votes = [one.equals(numbers).cast(np.float64) * weight for one, weight in zip(answers, weights, strict=True)]
    nodes.answer(nodes.look_up(model.classes_, _sum(votes).argmax()))


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(_average(_answers(nodes, model), _weights(model)))


def _transform(nodes: Nodes, model: Any) -> None:
    nodes.answer(nodes.join([one.cast(nodes.dtype) for one in _answers(nodes, model)]))


def _answers(nodes: Nodes, model: Any) -> list[Value]:
    """Return what each model gives: values, probabilities, or the numbers of classes, as which all labels are known."""
    if getattr(model, "voting", None) == "soft":
        return [respond(nodes, one, "predict_proba") for one in model.estimators_]
    return [respond(nodes, one, "predict").reshape(-1, 1) for one in model.estimators_]


def _weights(model: Any) -> list[float]:
    weights = np.ones(len(model.estimators_)) if model.weights is None else np.asarray(model._weights_not_none, float)
    return [float(one) for one in weights]


def _average(values: list[Value], weights: list[float]) -> Value:
    shares = np.asarray(weights) / np.sum(weights)
    return _sum([one * share for one, share in zip(values, shares.tolist(), strict=True)])


def _sum(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else values[0].map("Sum", *values[1:])


def _width(model: Any) -> int:
    return len(model.estimators_) * (len(model.classes_) if getattr(model, "voting", None) == "soft" else 1)


CONVERTERS: Final = (
    Converter("sklearn.ensemble.VotingClassifier", _convert_classifier),
    Converter("sklearn.ensemble.VotingRegressor", _convert_regressor, one_column),
)
TRANSFORMS: Final = (
    Converter("sklearn.ensemble.VotingClassifier", _transform, _width),
    Converter("sklearn.ensemble.VotingRegressor", _transform, _width),
)

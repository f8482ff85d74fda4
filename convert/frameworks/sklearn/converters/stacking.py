"""
Stacked estimators, of which the last one reads the answers of the others: `StackingClassifier`, `StackingRegressor`.

Source: scikit-learn's user guide, "Stacked generalization", and `sklearn.ensemble._stacking._BaseStacking`.
"""

from typing import Any, Final

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.responses import respond


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    rows, final = _stack(nodes, model), model.final_estimator_
    if isinstance(model.classes_, list):
        _classify_targets(nodes, model, rows)
        return
    method = "decision_function" if nodes.scoring else "predict_proba"
    numbers = respond(nodes, final, "predict", rows)  # the models know the classes by their numbers
    scores = [respond(nodes, final, method, rows)] if hasattr(final, method) else []
    nodes.answer(nodes.look_up(model.classes_, numbers), *scores)


def _classify_targets(nodes: Nodes, model: Any, rows: Value) -> None:
    """Answer yes or no for each target, and as probabilities those of no, as scikit-learn does."""
    labels, *scores = nodes.apply(model.final_estimator_, rows)
    nodes.answer(labels, nodes.join([one.take([0]).cast(nodes.dtype) for one in scores]))


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(respond(nodes, model.final_estimator_, "predict", _stack(nodes, model)))


def _transform(nodes: Nodes, model: Any) -> None:
    nodes.answer(_stack(nodes, model))


def _stack(nodes: Nodes, model: Any) -> Value:
    """Return the rows that the last estimator reads: the answers of the others, and the inputs with `passthrough`."""
    found = [
        answer
        for one, method in zip(model.estimators_, model.stack_method_, strict=True)
        for answer in _answer(nodes, model, one, method)
    ]
    return nodes.join([*found, nodes.given()] if model.passthrough else found)


def _answer(nodes: Nodes, model: Any, estimator: Any, method: str) -> list[Value]:
    """Return what an estimator gives [rows, columns]; of the probabilities of two classes those of the second."""
    if method == "predict_proba" and isinstance(getattr(estimator, "classes_", None), list):
        return [one.take([1]).cast(nodes.dtype) for one in nodes.apply(estimator)[1:]]
    answer = respond(nodes, estimator, method).cast(nodes.dtype)
    if method == "predict":
        return [answer if isinstance(getattr(model, "classes_", None), list) else answer.reshape(-1, 1)]
    return [answer.take([1]) if method == "predict_proba" and len(model.classes_) == 2 else answer]


CONVERTERS: Final = (
    Converter("sklearn.ensemble.StackingClassifier", _convert_classifier, scores=True),
    Converter("sklearn.ensemble.StackingRegressor", _convert_regressor, one_column),
)


def _width(model: Any) -> int:
    return int(model.final_estimator_.n_features_in_)


TRANSFORMS: Final = (
    Converter("sklearn.ensemble.StackingClassifier", _transform, _width),
    Converter("sklearn.ensemble.StackingRegressor", _transform, _width),
)

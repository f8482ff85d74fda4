"""
Chains, in which each model reads the answers of those before it: `ClassifierChain` and `RegressorChain`.

Source: scikit-learn's user guide, "Classifier Chain" and "Regressor Chain", and `sklearn.multioutput._BaseChain`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.converters.responses import respond


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    method = "decision_function" if nodes.scoring else "predict_proba"
    methods = ("predict", method) if hasattr(model, method) else ("predict",)
    labels, *scores = _follow(nodes, model, model.chain_method_, *methods)
    nodes.answer(labels.cast(np.int64), *scores)


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(*_follow(nodes, model, "predict", "predict"))


def _follow(nodes: Nodes, model: Any, passed: str, *methods: str) -> list[Value]:
    """Return what several methods of the models give [rows, targets]; `passed`: the one whose answers are passed on."""
    rows = nodes.given()
    found: list[dict[str, Value]] = []
    for one in model.estimators_:
        answers = {method: _respond(nodes, one, method, rows) for method in dict.fromkeys((passed, *methods))}
        rows = nodes.join([rows, answers[passed]])
        found.append(answers)
    order = np.argsort(model.order_)  # of the targets
    return [nodes.join([found[at][method] for at in order]) for method in methods]


def _respond(nodes: Nodes, model: Any, method: str, rows: Value) -> Value:
    """Return an answer about the second of two classes, or a label or value, as numbers [rows, 1]."""
    answer = respond(nodes, model, method, rows).cast(nodes.dtype)
    return answer.take([1]) if method in ("predict_proba", "predict_log_proba") else answer.reshape(-1, 1)


def _width(model: Any) -> int:
    return len(model.estimators_)


CONVERTERS: Final = (
    Converter("sklearn.multioutput.ClassifierChain", _convert_classifier, _width, scores=True),
    Converter("sklearn.multioutput.RegressorChain", _convert_regressor, _width),
)

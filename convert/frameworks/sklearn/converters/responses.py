"""
What a method of a fitted model inside another one gives: labels, values, probabilities, or the decision function.

Shapes: those of `sklearn.utils._response`, except that numbers always have columns.
"""

from typing import Any

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.building import has_raw_scores
from snooze.convert.frameworks.sklearn.converters.nodes import Nodes, Value
from snooze.convert.frameworks.sklearn.outputs import last_step


def respond(nodes: Nodes, model: Any, method: str, rows: Value | None = None) -> Value:
    """
    Return what `method` of a fitted model gives for rows, or for the inputs as they are.

    Labels are [rows]; values, probabilities and logarithms of them [rows, columns]; the decision function has one
    column for two classes. Numbers are in the precision to calculate in. Raises Unsupported if no converter gives it.
    """
    if method == "predict":
        found = nodes.apply(model, rows)[0]
        return found if hasattr(model, "classes_") else _number(nodes, found)
    if method == "decision_function":
        return decide(nodes, model, rows)
    found = _number(nodes, nodes.apply(model, rows, ("label", "probabilities"))[1])
    return found.map("Log") if method == "predict_log_proba" else found


def decide(nodes: Nodes, model: Any, rows: Value | None = None) -> Value:
    """Return the decision function [rows, classes], or [rows, 1] for two classes. Raises Unsupported."""
    check_scores(model)
    scores = _number(nodes, nodes.apply(model, rows, ("label", "scores"))[1])
    return scores.take([1]) if len(model.classes_) == 2 else scores


def gives_scores(model: Any) -> bool:
    """Return whether the converter of a classifier with a decision function gives it."""
    return not hasattr(model, "predict_proba") or has_raw_scores(last_step(model))


def check_scores(model: Any) -> None:
    """Raise Unsupported if the converter of a classifier gives no decision function, although the classifier does."""
    if not gives_scores(model):
        problem = "its converter gives probabilities, and another estimator needs its decision function"
        raise Unsupported(type(last_step(model)).__name__, f"{problem}; use an estimator without one in its place")


def _number(nodes: Nodes, value: Value) -> Value:
    return value.cast(nodes.dtype)

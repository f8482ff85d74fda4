"""
Linear models of which skl2onnx has other answers.

* A RidgeClassifier of several targets says yes where its decision function is above 0; skl2onnx takes them for classes.
* The label of a SGDClassifier has the highest score; skl2onnx takes that of the highest probability, though several are
  equal where they are clipped.
* SGDOneClassSVM calls a score of 0 an inlier; skl2onnx answers 0.

Formulas: scikit-learn's user guide, "Ridge regression and classification", "Stochastic Gradient Descent" and "Online
One-Class SVM"; `SGDClassifier.predict_proba`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.projections import project
from snooze.convert.frameworks.sklearn.outputs import is_multilabel

UNDERFLOW: Final = -709.782712893384  # below it, `scipy.special.expit` is 0


def normalize_logistic(scores: Value) -> Value:
    """
    Return `expit(scores)` divided by its sum over the columns, equal shares if that is 0.

    It is calculated from logarithms, as the sigmoid of ONNX Runtime is 0 for much higher scores than scikit-learn's.
    """
    logarithms = scores.map("Min", 0.0) - ((-scores.map("Abs")).map("Exp") + 1.0).map("Log")
    return scores.nodes.where(scores < UNDERFLOW, -1e30, logarithms).map("Softmax", axis=1)


def _score(nodes: Nodes, model: Any) -> Value:
    """Return the decision function, with a column for each of two classes."""
    weights = np.atleast_2d(model.coef_)
    scores = project(nodes.given(), weights.T, offset=model.intercept_)
    return scores if len(weights) > 1 else nodes.join([-scores, scores])


def _convert_ridge(nodes: Nodes, model: Any) -> None:
    scores = _score(nodes, model)
    if is_multilabel(model):
        nodes.answer((scores > 0.0).cast(np.int64), scores)
    else:
        nodes.classify(scores, model.classes_)


def _convert_descent(nodes: Nodes, model: Any) -> None:
    scores = answered = _score(nodes, model)
    if not nodes.scoring and model.loss == "log_loss":
        answered = scores.map("Sigmoid") if len(model.classes_) == 2 else normalize_logistic(scores)
    elif not nodes.scoring and model.loss == "modified_huber":
        shares = (scores.map("Clip", -1.0, 1.0) + 1.0) * 0.5
        total = shares.sum()
        answered = nodes.where(total.equals(0.0), 1 / len(model.classes_), shares / total)
    nodes.classify(answered, model.classes_, scores.argmax())


def _convert_one_class(nodes: Nodes, model: Any) -> None:
    score = project(nodes.given(), np.atleast_2d(model.coef_).T, offset=-model.offset_)
    nodes.answer(nodes.where(score >= 0.0, nodes.value(np.array([[1]])), -1), score)


def _count_scores(model: Any) -> int:
    return len(model.coef_) if is_multilabel(model) else len(model.classes_)


CONVERTERS: Final = (
    Converter("sklearn.linear_model.RidgeClassifier", _convert_ridge, _count_scores),
    Converter("sklearn.linear_model.RidgeClassifierCV", _convert_ridge, _count_scores),
    Converter("sklearn.linear_model.SGDClassifier", _convert_descent, scores=True),
    Converter("sklearn.linear_model.SGDOneClassSVM", _convert_one_class, one_column),
)

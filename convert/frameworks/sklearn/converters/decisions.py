"""
Classifiers of two classes with a threshold of their own: `FixedThresholdClassifier`, `TunedThresholdClassifierCV`.

Source: scikit-learn's user guide, "Tuning the decision threshold for class prediction".
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.converters.responses import respond


def _convert_fixed(nodes: Nodes, model: Any) -> None:
    estimator = getattr(model, "estimator_", model.estimator)
    method = _method(model, estimator)
    threshold = (
        {"predict_proba": 0.5, "decision_function": 0.0}[method] if model.threshold == "auto" else model.threshold
    )
    _decide(nodes, estimator, method, model.pos_label, threshold)


def _convert_tuned(nodes: Nodes, model: Any) -> None:
    label = model._curve_scorer._get_pos_label()
    _decide(nodes, model.estimator_, _method(model, model.estimator_), label, model.best_threshold_)


def _method(model: Any, estimator: Any) -> str:
    if model.response_method != "auto":
        return str(model.response_method)
    return "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"


def _decide(nodes: Nodes, estimator: Any, method: str, label: object, threshold: float) -> None:
    """Answer the class `label`, by default the second, where the score in its favour reaches the threshold."""
    classes = estimator.classes_
    positive = 1 if label is None else list(classes).index(label)
    scores = respond(nodes, estimator, method)
    in_favour = scores if method == "predict_proba" or positive == 1 else -scores
    reached = in_favour.take(positive if method == "predict_proba" else 0) >= threshold
    winners = (reached if positive == 1 else ~reached).cast(np.int64)
    answered = "decision_function" if nodes.scoring else "predict_proba"
    both = scores if answered == method else respond(nodes, estimator, answered)
    nodes.answer(nodes.look_up(classes, winners), both)


CONVERTERS: Final = (
    Converter("sklearn.model_selection.FixedThresholdClassifier", _convert_fixed, scores=True),
    Converter("sklearn.model_selection.TunedThresholdClassifierCV", _convert_tuned, scores=True),
)

"""
Isotonic regression, and calibrated classifiers.

Formulas: scikit-learn's user guide, "Isotonic regression" and "Probability calibration"; J. Platt, "Probabilistic
Outputs for Support Vector Machines" (1999), for `sigmoid`; C. Guo et al., "On Calibration of Modern Neural Networks"
(2017), for `temperature`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.intervals import interpolate
from snooze.convert.frameworks.sklearn.converters.linear import normalize_logistic
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.responses import gives_scores
from snooze.convert.frameworks.sklearn.outputs import last_step
from snooze.convert.frameworks.sklearn.parts import fitted_parts

NEAR: Final = 3e-7  # of a score of trees, which is one of few that were sums in double precision in training
EPSILON: Final = 1e-12  # that is added to probabilities, in case they are 0


def _convert_isotonic(nodes: Nodes, model: Any) -> None:
    nodes.answer(_isotonic(nodes.given(), model))


def _isotonic(scores: Value, model: Any, near: float = 0) -> Value:
    """Return the values of an isotonic regression for scores [rows, 1]; NaN where scikit-learn has none or refuses."""
    points, values = (np.asarray(one, np.float64)[:, None] for one in (model.X_thresholds_, model.y_thresholds_))
    if len(points) == 1:
        return scores * 0.0 + values
    found = interpolate(scores.cast(np.float64), points, values, near).cast(scores.dtype)
    if model.out_of_bounds == "clip":
        return found
    return scores.nodes.where((scores < points[0]) | (scores > points[-1]), np.nan, found)


def _convert_calibrated(nodes: Nodes, model: Any) -> None:
    several = [_calibrate(nodes, one) for one in model.calibrated_classifiers_]
    total = sum(several[1:], several[0])
    nodes.classify(total / float(len(several)), model.classes_)


def _calibrate(nodes: Nodes, part: Any) -> Value:
    """Return the probabilities [rows, classes] of one of the calibrated classifiers."""
    classes, known = list(part.classes), list(part.estimator.classes_)
    raw = hasattr(part.estimator, "decision_function")
    scores = _score(nodes, part, len(known))
    if part.method == "temperature":
        if raw and len(known) == 2:
            scores = nodes.join([-_last(scores), _last(scores)])
        logits = scores if raw else (scores + EPSILON).map("Log")
        return (logits * float(part.calibrators[0].beta_)).map("Softmax", axis=1)
    columns = [_last(scores)] if len(known) == 2 else [scores.take([at]) for at in range(len(known))]
    pairs = list(zip(columns, part.calibrators, strict=False))
    if part.method == "sigmoid" and len(classes) == len(known) > 2:
        return normalize_logistic(nodes.join([_logit(*pair) for pair in pairs]))
    near = NEAR if _has_trees(part.estimator) else 0
    calibrated = [
        _logit(*pair).map("Sigmoid") if part.method == "sigmoid" else _isotonic(*pair, near) for pair in pairs
    ]
    if len(classes) == 2:
        return nodes.join([1.0 - calibrated[0], calibrated[0]])
    absent = columns[0] * 0.0
    found = dict(zip((classes.index(one) for one in known), calibrated, strict=False))
    joined = nodes.join([found.get(at, absent) for at in range(len(classes))])
    total = joined.sum()
    return nodes.where(total.equals(0.0), 1 / len(classes), joined / total)


def _score(nodes: Nodes, part: Any, classes: int) -> Value:
    """Return the scores of a classifier if it has some, otherwise its probabilities."""
    estimator = part.estimator
    raw = hasattr(estimator, "decision_function")
    known = raw and gives_scores(estimator)
    scores: Value = nodes.apply(estimator, outputs=("label", "scores" if known else "probabilities"))[1]
    if known or not raw:
        return scores
    if classes > 2 and part.method != "temperature":
        problem = f"its {type(last_step(estimator)).__name__} is converted to probabilities, not to the scores that"
        advice = "calibrate it with method='temperature', for which both are the same"
        raise Unsupported("CalibratedClassifierCV", f"{problem} {part.method} calibration needs; {advice}")
    logarithms = scores.map("Max", np.finfo(nodes.dtype).tiny).map("Log")
    return logarithms if classes > 2 else logarithms.take([1]) - logarithms.take([0])


def _logit(scores: Value, calibrator: Any) -> Value:
    return -(scores * float(calibrator.a_) + float(calibrator.b_))


def _has_trees(estimator: Any) -> bool:
    return any(
        type(part).__module__.startswith(("sklearn.tree", "sklearn.ensemble")) for part in fitted_parts(estimator)
    )


def _last(scores: Value) -> Value:
    """Return the last column, which is that of the second of two classes."""
    return scores.take([-1])


CONVERTERS: Final = (
    Converter("sklearn.isotonic.IsotonicRegression", _convert_isotonic, one_column),
    Converter("sklearn.calibration.CalibratedClassifierCV", _convert_calibrated),
)

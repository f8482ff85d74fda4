"""
Support vector machines.

Formulas: scikit-learn's user guide, "Support Vector Machines", "Mathematical formulation". The votes of pairs of
classes are those of libsvm (`svm_predict_values`), the scores of classes those of
`sklearn.utils.multiclass._ovr_decision_function`.
"""

from itertools import combinations
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.couplings import couple
from snooze.convert.frameworks.sklearn.converters.distances import squares_about_mean
from snooze.convert.frameworks.sklearn.converters.kernels import kernel
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column

MANY: Final = 10  # classes: one product for all pairs is faster for fewer, and for more a product for each class


def vote(first: Value, classes: int, second: Value | None = None) -> Value:
    """
    Return the votes for classes [rows, classes], from whether the first class of each pair wins [rows, pairs].

    `second`: whether the second one wins, if not always one of both does.
    """
    signs, dtype = _signs(classes), first.nodes.dtype
    if second is None:
        votes: Value = first.cast(dtype) @ signs + np.arange(classes, dtype=float)
    else:
        votes = first.cast(dtype) @ np.maximum(signs, 0) + second.cast(dtype) @ np.maximum(-signs, 0)
    return votes


def add_confidences(votes: Value, confidences: Value, classes: int) -> Value:
    """Return votes and, for their ties, up to a third of the sum of confidences in the first class of each pair."""
    sums: Value = confidences @ _signs(classes)
    return votes + sums / ((sums.map("Abs") + 1.0) * 3.0)


def _signs(classes: int) -> Array:
    """Return 1 for the first and -1 for the second class of each pair [pairs, classes]."""
    one = np.eye(classes)
    return np.array([one[i] - one[j] for i, j in combinations(range(classes), 2)])


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    classes, found = len(model.classes_), _evaluate(nodes, model)
    if classes == 2:
        scores = nodes.join([-found, found])
        winners = (found >= 0.0).cast(np.int64).reshape(-1)
        found = -found  # as libsvm has it
    else:
        winners = vote(found > 0.0, classes).argmax()
        scores = found
        if model.decision_function_shape == "ovr":
            scores = add_confidences(vote(found >= 0.0, classes), found, classes)
            winners = scores.argmax() if model.break_ties else winners
    if not nodes.scoring:
        scores = couple(found, model)
    nodes.classify(scores, model.classes_, winners)


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(_evaluate(nodes, model))


def _convert_one_class(nodes: Nodes, model: Any) -> None:
    scores = _evaluate(nodes, model)
    nodes.answer((scores > 0.0).cast(np.int64) * 2 - 1, scores)


def _evaluate(nodes: Nodes, model: Any) -> Value:
    """Return the functions of pairs of classes, or the only function [rows, functions]."""
    name, rows = model.kernel, nodes.given()
    if name == "linear":
        found: Value = rows @ model.coef_.T
    elif name == "precomputed":
        found = _weigh(rows.take(model.support_), model)
    elif name == "rbf":  # libsvm adds squares of differences, which are more exact than those of scikit-learn's kernel
        found = _weigh((squares_about_mean(rows, model.support_vectors_) * -model._gamma).map("Exp"), model)
    else:
        values = kernel(rows, model.support_vectors_, name, model._gamma, model.degree, model.coef0)
        found = _weigh(values, model)
    return found + np.asarray(model.intercept_)


def _weigh(values: Value, model: Any) -> Value:
    """Return the sums of the support vectors' values with their coefficients [rows, functions]."""
    given, most = model.dual_coef_, len(model.dual_coef_)  # of each vector in the pairs of its class with the others
    pairs = list(combinations(range(most + 1), 2))
    if most == 1:
        sums: Value = values @ given.T
    elif most < MANY:
        owner = np.repeat(np.arange(most + 1), model.n_support_)
        sums = values @ np.stack([given[j - 1] * (owner == i) + given[i] * (owner == j) for i, j in pairs], axis=1)
    else:  # in which most coefficients of a pair are 0
        nodes, names = values.nodes, [values.nodes.name("part") for _ in model.n_support_]
        nodes.add_several("Split", [values.name, nodes.constant(model.n_support_.astype(np.int64))], names, axis=1)
        each = zip(names, np.split(given, np.cumsum(model.n_support_)[:-1], axis=1), strict=True)
        sides = nodes.join([Value(nodes, part, values.dtype) @ weights.T for part, weights in each])
        sums = sides.take([i * most + j - 1 for i, j in pairs]) + sides.take([j * most + i for i, j in pairs])
    return sums


def _count_scores(model: Any) -> int:
    """Return the number of columns of a classifier's scores: classes, or pairs of more than two classes."""
    classes = len(model.classes_)
    pairs = model.decision_function_shape == "ovo" and not hasattr(model, "predict_proba") and classes > 2
    return classes * (classes - 1) // 2 if pairs else classes


CONVERTERS: Final = (
    Converter("sklearn.svm.SVC", _convert_classifier, _count_scores, scores=True),
    Converter("sklearn.svm.NuSVC", _convert_classifier, _count_scores, scores=True),
    Converter("sklearn.svm.SVR", _convert_regressor, one_column),
    Converter("sklearn.svm.NuSVR", _convert_regressor, one_column),
    Converter("sklearn.svm.OneClassSVM", _convert_one_class, one_column),
)

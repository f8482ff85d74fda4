"""
Probabilities of classes from a support vector machine's functions of pairs of classes.

Formulas: J. Platt, "Probabilistic Outputs for Support Vector Machines" (1999), for a pair; method 2 of T.-F. Wu,
C.-J. Lin and R. C. Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling" (2004), for all.
libsvm's iteration (`multiclass_probability`) stops far from its limit, so the number of its steps matters.
"""

from itertools import combinations
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.loops import repeat
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Value

LEAST: Final = 1e-7  # probability of one of a pair, as in libsvm
STEPS: Final = 100
ERROR: Final = 0.005  # by the number of classes, at which a row is finished


def couple(found: Value, model: Any) -> Value:
    """Return probabilities [rows, classes] from the functions of pairs [rows, pairs], as libsvm has them."""
    if found.dtype == np.float64 and len(model.classes_) > 2:
        return _iterate(found, model)
    return _by_operator(found, model)


def _by_operator(found: Value, model: Any) -> Value:
    """
    Return the probabilities of ONNX Runtime's operator, which iterates in single precision.

    It is made a machine of one support vector for each pair, a vector of the first class, so that the functions of its
    pairs are those that it is given. About one row in a thousand stops a step too early or late.
    """
    nodes, classes = found.nodes, len(model.classes_)
    pairs = list(combinations(range(classes), 2))
    coefficients = np.zeros((classes - 1, len(pairs)))
    coefficients[[j - 1 for _, j in pairs], np.arange(len(pairs))] = 1
    names = nodes.name("winner"), nodes.name("coupled")
    nodes.add_several(
        "SVMClassifier",
        [found.name],
        names,
        domain=ML,
        kernel_type="LINEAR",
        kernel_params=[0.0, 0.0, 0.0],
        classlabels_ints=list(range(classes)),
        vectors_per_class=[classes - 1 - at for at in range(classes)],
        support_vectors=np.eye(len(pairs)).ravel().tolist(),
        coefficients=coefficients.ravel().tolist(),
        rho=[0.0] * len(pairs),
        prob_a=model.probA_.tolist(),
        prob_b=model.probB_.tolist(),
    )
    return Value(nodes, names[1], np.float32).cast(nodes.dtype)


def _iterate(found: Value, model: Any) -> Value:
    """Return the probabilities of a loop of steps, in double precision."""
    nodes, classes = found.nodes, len(model.classes_)
    likely = (-(found * model.probA_ + model.probB_)).map("Sigmoid").map("Clip", LEAST, 1 - LEAST)
    shape = (-1, classes, classes)
    forward, backward = (likely @ signs + ones for signs, ones in _place_pairs(classes))
    diagonal = (forward * forward).reshape(*shape).sum(axis=1)  # [rows, 1, classes]
    products = diagonal * np.eye(classes) - (forward * backward).reshape(*shape)

    def step(number: Value, given: Value, products: Value) -> tuple[Value, list[Value]]:
        gradient = (products @ given.reshape(-1, classes, 1)).reshape(-1, classes)
        norm = (given * gradient).sum()
        going = (gradient - norm).map("Abs").reduce("ReduceMax") >= ERROR / classes
        after = given
        for at in range(classes):
            row = products.take(at)
            own, slope = row.take([at]), gradient.take([at])
            change = (norm - slope) / own
            scale = change + 1.0
            after = (after + change * np.eye(classes)[at]) / scale
            norm = (norm + change * (change * own + slope * 2.0)) / (scale * scale)
            gradient = (gradient + change * row) / scale
        any_going = going.cast(np.int32).reduce("ReduceMax", axis=0).reshape().cast(bool)
        return any_going, [nodes.where(going, after, given)]

    start = found.take([0]) * np.zeros(classes) + 1 / classes
    return repeat(nodes, step, max(STEPS, classes), [start], [products])[0]


def _place_pairs(classes: int) -> list[tuple[Array, Array]]:
    """
    Return how the probabilities of pairs become matrices [classes * classes]: factors and what is added.

    The first matrix has the probability of i against j in row i, the second in column i; both have 0 on the diagonal.
    """
    pairs = list(combinations(range(classes), 2))
    signs, ones = np.zeros((len(pairs), classes, classes)), np.zeros((classes, classes))
    for at, (i, j) in enumerate(pairs):
        signs[at, i, j], signs[at, j, i], ones[j, i] = 1, -1, 1
    flat = classes * classes
    return [
        (signs.reshape(len(pairs), flat), ones.ravel()),
        (signs.transpose(0, 2, 1).reshape(len(pairs), flat), ones.T.ravel()),
    ]

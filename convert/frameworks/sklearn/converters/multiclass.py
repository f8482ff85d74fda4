"""
Several classes from models of two: one for each class, for each pair of classes, or for each bit of a code.

Formulas: scikit-learn's user guide, "Multiclass and multioutput algorithms", and `sklearn.multiclass`.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.converters.responses import check_scores
from snooze.convert.frameworks.sklearn.converters.support_vectors import add_confidences, vote


class Answer(NamedTuple):
    """What a model of two classes answers [rows, 1]: its label, and a score in favour of the second class."""

    label: Value
    score: Value


def _convert_one_vs_rest(nodes: Nodes, model: Any) -> None:
    from sklearn.multiclass import _threshold_for_binary_predict

    members, probable = model.estimators_, not nodes.scoring
    scores = nodes.join([_ask(nodes, one, _deciding(one)).score for one in members])
    given = scores
    if probable and any(_deciding(one) != "probabilities" for one in members):
        given = nodes.join([_ask(nodes, one, "probabilities").score for one in members])
    chosen = (scores > _threshold_for_binary_predict(members[0])).cast(np.int64)
    if model.multilabel_:
        return nodes.answer(chosen, given)
    if len(members) == 1:
        given = nodes.join([1.0 - given if probable else -given, given])
        return nodes.classify(given, model.classes_, chosen.reshape(-1))
    if probable:
        sums = given.sum()
        given = given / nodes.where(sums.equals(0.0), 1.0, sums)
    return nodes.classify(given, model.classes_, scores.argmax())


def _convert_one_vs_one(nodes: Nodes, model: Any) -> None:
    from sklearn.multiclass import _threshold_for_binary_predict

    members, classes, columns = model.estimators_, len(model.classes_), model.pairwise_indices_
    rows = [None if columns is None else nodes.given().take(one) for one in columns or members]
    found = [_ask(nodes, one, _deciding(one), of) for one, of in zip(members, rows, strict=True)]
    labels, scores = (nodes.join(list(one)) for one in zip(*found, strict=True))
    # The value of a regressor is a vote only if it is exactly 0 or 1.
    votes = vote(labels.equals(0), classes, labels.equals(1))
    decision = add_confidences(votes, -scores, classes)
    if classes > 2:
        return nodes.classify(decision, model.classes_)
    decision = decision.take([1])
    winners = (decision > _threshold_for_binary_predict(members[0])).cast(np.int64).reshape(-1)
    return nodes.classify(nodes.join([-decision, decision]), model.classes_, winners)


def _convert_code(nodes: Nodes, model: Any) -> None:
    bits = nodes.join([_ask(nodes, one, _deciding(one)).score for one in model.estimators_])
    code = model.code_book_
    distances = bits @ (-2 * code.T) + (code**2).sum(1)  # and the squares of bits, without which equal ones stay equal
    nodes.answer(nodes.look_up(model.classes_, distances.argmin()))


def _deciding(member: Any) -> str:
    """Return which output of a member is its score."""
    from sklearn.base import is_regressor

    if is_regressor(member):
        return "value"
    return "scores" if hasattr(member, "decision_function") else "probabilities"


def _ask(nodes: Nodes, member: Any, output: str, rows: Value | None = None) -> Answer:
    """Return what a member answers, with one of its outputs as the score. Raises Unsupported if it is not converted."""
    if type(member).__name__ == "_ConstantPredictor":
        constant = nodes.repeat(np.array([float(member.y_[0])]))
        return Answer(constant, constant)
    if output == "value":
        value = nodes.apply(member, rows)[0].cast(nodes.dtype)
        return Answer(value, value)
    if output == "scores":
        check_scores(member)
    label, scores = nodes.apply(member, rows, ("label", output))
    return Answer(label.reshape(-1, 1), scores.cast(nodes.dtype).take([1]))


CONVERTERS: Final = (
    Converter("sklearn.multiclass.OneVsRestClassifier", _convert_one_vs_rest, scores=True),
    Converter("sklearn.multiclass.OneVsOneClassifier", _convert_one_vs_one),
    Converter("sklearn.multiclass.OutputCodeClassifier", _convert_code),
)

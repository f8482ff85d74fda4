"""
Averages of estimators that were each trained on some of the rows and columns.

Formulas: scikit-learn's user guide, "Bagging meta-estimator" and "Isolation Forest"; `_parallel_predict_proba` of
`sklearn.ensemble._bagging`, and `_average_path_length` of `sklearn.ensemble._iforest`, which is equation (1) of Liu,
Ting and Zhou, "Isolation Forest", 2008.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.trees import add_leaves, are_trees, read_tree, single, with_both

ROUNDING: Final = 3e-7  # of scores: one of exactly 0 is common, as rows of the training set the offset, and is normal


def _convert_bagging_regressor(nodes: Nodes, model: Any) -> None:
    width = _count_values(model)
    if are_trees(model.estimators_):
        trees = [read_tree(one.tree_, one.tree_.value[:, :, 0], columns) for one, columns in _members(model)]
        return nodes.answer(add_leaves(single(nodes), trees, width, average=True))
    rows = nodes.given()
    values = [nodes.apply(one, rows.take(columns))[-1].reshape(-1, width) for one, columns in _members(model)]
    return nodes.answer(_average(values))


def _convert_bagging_classifier(nodes: Nodes, model: Any) -> None:
    size = len(model.classes_)
    if are_trees(model.estimators_):
        first = 1 if size == 2 else 0  # of two classes the second says it all
        trees = [read_tree(one.tree_, one.tree_.value[:, 0, first:], columns) for one, columns in _members(model)]
        found = add_leaves(single(nodes), trees, size - first, average=True)
        return nodes.classify(with_both(found) if first else found, model.classes_)
    rows = nodes.given()
    votes = [_vote(one, rows.take(columns), size) for one, columns in _members(model)]
    return nodes.classify(_average(votes), model.classes_)


def _vote(member: Any, rows: Value, size: int) -> Value:
    """Return a member's decision function, its probabilities of all classes, or 1 for the class that it predicts."""
    if rows.nodes.scoring and hasattr(member, "decision_function"):
        return rows.nodes.apply(member, rows, ("label", "scores"))[1]
    label, scores = rows.nodes.apply(member, rows)
    if not hasattr(member, "predict_proba"):
        return label.reshape(-1, 1).equals(np.arange(size)[None]).cast(rows.dtype)
    return scores if len(member.classes_) == size else scores @ _spread(member, size)


def _spread(member: Any, size: int) -> Array:
    """Return the matrix that takes the classes which a member was trained on, their numbers, to all classes."""
    return np.eye(size)[np.asarray(member.classes_, np.int64)]


def _members(model: Any) -> Iterator[tuple[Any, Array]]:
    """Yield the estimators and the numbers of the columns that they read."""
    for one, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        yield one, np.asarray(columns)


def _average(values: list[Value]) -> Value:
    return sum(values[1:], values[0]) / float(len(values))


def _count_values(model: Any) -> int:
    return int(np.size(model.predict(np.zeros((1, model.n_features_in_)))))


def _convert_isolation(nodes: Nodes, model: Any) -> None:
    trees = [
        read_tree(
            one.tree_, (one.tree_.compute_node_depths() - 1 + _path_length(one.tree_.n_node_samples))[:, None], columns
        )
        for one, columns in _members(model)
    ]
    depth = add_leaves(single(nodes), trees, 1, average=True)
    normal = float(_path_length(np.array([model.max_samples_]))[0])
    relative = depth / normal if normal else depth * 0.0 + 1.0
    decision = -(relative * -np.log(2)).map("Exp") - model.offset_
    outlying = decision < -ROUNDING
    nodes.answer(nodes.where(outlying, nodes.value(np.array([[-1]])), 1), decision)


def _path_length(rows: Array) -> Array:
    """Return the average length of a path in a tree of so many rows."""
    several = np.maximum(rows, 3.0)
    lengths = 2 * (np.log(several - 1) + np.euler_gamma) - 2 * (several - 1) / several
    return np.asarray(np.where(rows > 2, lengths, rows == 2))


CONVERTERS: Final = (
    Converter("sklearn.ensemble.BaggingClassifier", _convert_bagging_classifier, scores=True),
    Converter("sklearn.ensemble.BaggingRegressor", _convert_bagging_regressor, _count_values),
    Converter("sklearn.ensemble.IsolationForest", _convert_isolation, one_column),
)

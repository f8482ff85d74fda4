"""
Adaptive boosting: estimators that vote with weights, or whose weighted median counts.

Formulas: scikit-learn's user guide, "AdaBoost"; `decision_function` and `_get_median_predict` of
`sklearn.ensemble._weight_boosting`, which are equation (15) of Zhu, Zou, Rosset and Hastie, "Multi-class AdaBoost",
2009, and Drucker, "Improving Regressors using Boosting Techniques", 1997.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.distances import lowest
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.trees import add_leaves, answer_classes, are_trees, read_tree, single


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    size, weights = len(model.classes_), model.estimator_weights_[: len(model.estimators_)]
    shares, votes = weights / weights.sum(), _find_votes(size)
    if are_trees(model.estimators_):
        trees = [
            read_tree(one.tree_, share * votes[_numbers(one, model)[one.tree_.value[:, 0].argmax(1)]])
            for one, share in zip(model.estimators_, shares, strict=True)
        ]
        total = add_leaves(single(nodes), trees, votes.shape[1])
    else:
        rows = nodes.given()
        cast = [
            _cast_votes(nodes.apply(one, rows)[0], model.classes_, share * votes)
            for one, share in zip(model.estimators_, shares, strict=True)
        ]
        total = sum(cast[1:], cast[0])
    answer_classes(nodes, total, model.classes_, 1 / max(size - 1, 1))


def _find_votes(size: int) -> Array:
    """Return what a vote for each class adds to the decision function [classes, its columns]."""
    if size == 2:
        return np.array([[-2.0], [2.0]])
    return np.asarray((size * np.eye(size) - 1) / (size - 1)) if size > 1 else np.ones((1, 1))


def _numbers(member: Any, model: Any) -> Array:
    """Return the numbers of the classes of a member among those of the model."""
    return np.asarray(np.searchsorted(model.classes_, member.classes_))


def _cast_votes(label: Value, classes: Array, votes: Array) -> Value:
    """Return the votes for the classes that are predicted [rows, columns of the decision function]."""
    if classes.dtype.kind in "OU":
        keys: dict[str, Any] = {"keys_strings": classes.astype(str).tolist()}
    else:
        keys = {"keys_int64s": classes.astype(np.int64)}
    numbers = np.arange(len(classes))
    found = label.map("LabelEncoder", domain=ML, **keys, values_int64s=numbers, default_int64=0, dtype=np.int64)
    return label.nodes.value(votes).take(found.reshape(-1), axis=0)


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    count = len(model.estimators_)
    if are_trees(model.estimators_):
        trees = [
            read_tree(one.tree_, one.tree_.value[:, :, 0] * (np.arange(count) == at))
            for at, one in enumerate(model.estimators_)
        ]
        values = add_leaves(single(nodes), trees, count)
    else:
        rows = nodes.given()
        values = nodes.join([nodes.apply(one, rows)[0].reshape(-1, 1) for one in model.estimators_])
    nodes.answer(_find_median(values, model.estimator_weights_[:count]))


def _find_median(values: Value, weights: Array) -> Value:
    """Return the lowest value of each row that, with those below it, has half of the weights [rows, 1]."""
    nodes, count = values.nodes, len(weights)
    ordered, order = lowest(values, count)
    # In double precision, as in scikit-learn, because sums that are half of the weights decide.
    sums = nodes.value(weights, np.float64).take(order, axis=0).map("CumSum", nodes.value(np.array(1)))
    place = (sums >= sums.take([count - 1]) * 0.5).cast(np.int32).argmax()
    return ordered.map("GatherElements", place.reshape(-1, 1), axis=1)


CONVERTERS: Final = (
    Converter("sklearn.ensemble.AdaBoostClassifier", _convert_classifier, scores=True),
    Converter("sklearn.ensemble.AdaBoostRegressor", _convert_regressor, one_column),
)

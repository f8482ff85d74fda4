"""
Decision trees, forests of them, and gradient boosting, as one node that adds the leaves which a row reaches.

Formulas: scikit-learn's user guide, "Decision Trees", "Random forests" and "Gradient-boosted trees"; `apply` of
`sklearn.tree._tree.Tree` compares a value in single precision with a threshold in double precision, and knows where
missing values go. `_raw_predict_init` of `sklearn.ensemble._gb` gives what boosted trees are added to.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.boosting.ensemble import Ensemble, Leaf, Objective, Tree, split_on_number
from snooze.convert.frameworks.boosting.graph import attributes
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Converter, Nodes, Value, one_column

SINGLE: Final = np.dtype(np.float32)


def add_leaves(
    rows: Value, trees: Sequence[Tree], targets: int, base: Sequence[float] = (), average: bool = False
) -> Value:
    """
    Return the sums of the leaves that rows reach, and of a base, or the averages of the leaves [rows, targets].

    Values are compared in the precision of `rows`: in double precision exactly, in single precision with the same
    results for values that have it. The sums are calculated in single precision.
    """
    nodes = rows.nodes
    ensemble = Ensemble(tuple(trees), 0, targets, tuple(base), inclusive=True, objective=Objective())
    total = nodes.add(
        "TreeEnsembleRegressor", [rows.name], domain=ML, n_targets=targets, post_transform="NONE",
        aggregate_function="AVERAGE" if average else "SUM", **attributes(ensemble, rows.dtype != SINGLE),
    )  # fmt: skip
    return Value(nodes, total, SINGLE).cast(nodes.dtype)


def read_tree(tree: Any, weights: Array, columns: Array | None = None) -> Tree:
    """Return a tree with the weights of its nodes [nodes, targets]. `columns`: those that it was trained on, if few."""
    features = np.maximum(tree.feature, 0)
    features = features if columns is None else columns[features]
    children, missing = (tree.children_left, tree.children_right), tree.missing_go_to_left
    rows = zip(*(one.tolist() for one in (features, tree.threshold, *children, missing, weights)), strict=True)
    return [
        Leaf(_not_zero(weight))
        if left == -1
        else split_on_number(feature, bound, left, right, left if to_left else right)
        for feature, bound, left, right, to_left, weight in rows
    ]


def _not_zero(weights: Sequence[float]) -> list[tuple[int, float]]:
    """Return the targets that a leaf adds to, and at least one."""
    return [(target, weight) for target, weight in enumerate(weights) if weight] or [(0, 0.0)]


def with_both(second: Value) -> Value:
    """Return the probabilities of two classes for those of the second."""
    return second.nodes.join([1.0 - second, second])


def single(nodes: Nodes) -> Value:
    """Return the rows as scikit-learn's trees see them, in single precision."""
    return nodes.given().cast(SINGLE)


def are_trees(estimators: Sequence[Any]) -> bool:
    """Return whether estimators are single trees, which one node can hold."""
    return all(type(one).__module__.startswith("sklearn.tree") for one in estimators)


def _members(model: Any) -> list[Any]:
    return [one.tree_ for one in getattr(model, "estimators_", [model])]


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    trees = [read_tree(one, one.value[:, :, 0]) for one in _members(model)]
    nodes.answer(add_leaves(single(nodes), trees, model.n_outputs_, average=True))


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    rows, members = single(nodes), _members(model)
    if model.n_outputs_ > 1:
        sizes = [len(one) for one in model.classes_]
        trees = [
            read_tree(one, np.concatenate([one.value[:, at, :size] for at, size in enumerate(sizes)], axis=1))
            for one in members
        ]
        found = add_leaves(rows, trees, sum(sizes), average=True)
        ends = np.cumsum(sizes)
        parts = [found.take(np.arange(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
        return nodes.classify_targets(parts, model.classes_)
    first = 1 if len(model.classes_) == 2 else 0  # of two classes the second says it all
    trees = [read_tree(one, one.value[:, 0, first:]) for one in members]
    found = add_leaves(rows, trees, len(model.classes_) - first, average=True)
    return nodes.classify(with_both(found) if first else found, model.classes_)


def _boost(nodes: Nodes, model: Any) -> Value:
    """Return the sum of the trees of a gradient boosting model and of the answers of its first estimator."""
    rows, targets = nodes.given(), model.estimators_.shape[1]
    trees = [
        read_tree(one.tree_, _place(model.learning_rate * one.tree_.value[:, 0, 0], target, targets))
        for stage in model.estimators_
        for target, one in enumerate(stage)
    ]
    if not _is_constant(model.init_):
        return add_leaves(rows.cast(SINGLE), trees, targets) + _begin(nodes, model, rows)
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]
    return add_leaves(rows.cast(SINGLE), trees, targets, base.tolist())


def _place(values: Array, target: int, targets: int) -> Array:
    """Return weights of nodes that all add to one target."""
    return np.asarray(values[:, None] * (np.arange(targets) == target))


def _is_constant(estimator: Any) -> bool:
    return isinstance(estimator, str) or type(estimator).__name__.startswith("Dummy")


def _begin(nodes: Nodes, model: Any, rows: Value) -> Value:
    """Return what the first estimator of gradient boosting answers, as a sum of trees."""
    *_, answer = nodes.apply(model.init_, rows)
    if not hasattr(model, "classes_"):
        return answer.reshape(-1, 1)
    least = float(np.finfo(nodes.dtype).eps)
    answer = answer.map("Clip", least, 1 - least)
    if len(model.classes_) > 2:
        logarithms = answer.map("Log")
        return logarithms - logarithms.sum() / float(len(model.classes_))
    second = answer.take([1])
    odds = second.map("Log") - (1.0 - second).map("Log")
    return odds * 0.5 if model.loss == "exponential" else odds


def answer_classes(nodes: Nodes, total: Value, classes: Any, scale: float = 1.0, zero: int = 0) -> None:
    """
    Answer a classifier whose trees add up to one number for two classes, or to a number for each class.

    The number times `scale` gives the log odds. `zero` is which of two classes the number 0 stands for.
    """
    two = len(classes) == 2
    winners = (total >= 0.0 if zero else total > 0.0).cast(np.int64).reshape(-1) if two else total.argmax()
    logits = total if scale == 1 else total * scale
    if nodes.scoring:
        scores = nodes.join([-total, total]) if two else total
    else:
        scores = with_both(logits.map("Sigmoid")) if two else logits.map("Softmax", axis=1)
    nodes.classify(scores, classes, winners)


def _convert_boosting_classifier(nodes: Nodes, model: Any) -> None:
    answer_classes(nodes, _boost(nodes, model), model.classes_, 2.0 if model.loss == "exponential" else 1.0, zero=1)


def _convert_boosting_regressor(nodes: Nodes, model: Any) -> None:
    nodes.answer(_boost(nodes, model))


def _convert_embedding(nodes: Nodes, model: Any) -> None:
    """Convert leaf numbers to one-hot columns: each leaf adds 1 to a column of its own."""
    width = _count_leaves(model)
    first, trees = 0, []
    for one, known in zip(model.estimators_, model.one_hot_encoder_.categories_, strict=True):
        columns = dict(zip(known.tolist(), range(first, first + len(known)), strict=True))
        leaves = read_tree(one.tree_, np.zeros((one.tree_.node_count, 1)))
        trees.append(
            [
                Leaf([(columns[at], 1.0)]) if isinstance(node, Leaf) and at in columns else node
                for at, node in enumerate(leaves)
            ]
        )
        first += len(known)
    nodes.answer(add_leaves(single(nodes), trees, width))


def _count_leaves(model: Any) -> int:
    return sum(map(len, model.one_hot_encoder_.categories_))


def _outputs(model: Any) -> int:
    return int(model.n_outputs_)


def _find_converters() -> Iterator[Converter]:
    for module, kinds in (("tree", ("DecisionTree", "ExtraTree")), ("ensemble", ("RandomForest", "ExtraTrees"))):
        for kind in kinds:
            yield Converter(f"sklearn.{module}.{kind}Classifier", _convert_classifier)
            yield Converter(f"sklearn.{module}.{kind}Regressor", _convert_regressor, _outputs)


CONVERTERS: Final = (
    *_find_converters(),
    Converter("sklearn.ensemble.GradientBoostingClassifier", _convert_boosting_classifier, scores=True),
    Converter("sklearn.ensemble.GradientBoostingRegressor", _convert_boosting_regressor, one_column),
    Converter("sklearn.ensemble.RandomTreesEmbedding", _convert_embedding, _count_leaves),
)

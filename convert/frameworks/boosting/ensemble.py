"""Boosted trees as both libraries train them: their splits, their leaves, and what becomes of the sum of the leaves."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from snooze.bundle.contract import Role, Task
from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.interface import Domain, Names

Categories: TypeAlias = tuple[str | float, ...]
Link: TypeAlias = Literal["identity", "sigmoid", "softmax", "exp", "softplus", "signed square"]
PROBABILITIES: Final = ("sigmoid", "softmax")


class Split(NamedTuple):
    """
    A comparison of one feature with bounds in ascending order.

    The first bound that the value is below leads to the child at the same position. A value below none leads to the
    last child, of which there is one more than bounds, and a missing value to the child `missing`. Children are
    positions in the tree.
    """

    feature: int
    bounds: Sequence[float]
    children: Sequence[int]
    missing: int


class Leaf(NamedTuple):
    """What a leaf adds to the outputs: pairs of their number and a weight."""

    weights: Sequence[tuple[int, float]]


Tree: TypeAlias = Sequence[Split | Leaf]  # the root is the first


class Objective(NamedTuple):
    """What a model is trained for: the function from the sum of its trees to its answer, and the task."""

    link: Link = "identity"
    task: Task = "regression"


@dataclass(frozen=True)
class Ensemble:
    """Trees whose weights are summed into `targets` numbers for each row, from which the objective makes the answer."""

    trees: tuple[Tree, ...]
    width: int  # the number of features
    targets: int
    base: tuple[float, ...]  # what the trees of each target are added to
    inclusive: bool  # a value equal to a bound is below it
    objective: Objective
    scale: float = 1.0  # of the sum before the link
    missing: float = math.nan  # a value that means, as NaN does, that there is none
    columns: Names = None
    categories: Mapping[int, Categories] = field(default_factory=dict)  # whose positions some features are
    hard: bool = False  # the library predicts classes, so the answer is made of its sums

    @property
    def answer(self) -> tuple[str, Role]:
        """The name and role of the output that the link makes."""
        if self.objective.task == "regression":
            return "value", "value"
        return ("probabilities" if self.objective.link in PROBABILITIES else "scores"), "scores"

    @property
    def two_columns(self) -> bool:
        """Whether one number decides between two classes."""
        return self.targets == 1 and self.objective.task == "classification"

    @property
    def domain(self) -> Domain:
        """The center and the spread of the bounds of each feature."""
        splits = [one for tree in self.trees for one in tree if isinstance(one, Split)]
        features = np.repeat([one.feature for one in splits], [len(one.bounds) for one in splits]).astype(np.int64)
        bounds = np.array([bound for one in splits for bound in one.bounds], np.float64)
        features, bounds = features[np.isfinite(bounds)], bounds[np.isfinite(bounds)]
        count = np.maximum(np.bincount(features, minlength=self.width), 1)
        center = np.bincount(features, bounds, self.width) / count
        deviation = np.sqrt(np.bincount(features, (bounds - center[features]) ** 2, self.width) / count)
        spread = np.where(deviation > 0, deviation, np.where(center == 0, 1.0, np.abs(center) / 2))
        return Domain(center=_narrow(center), scale=_narrow(spread))


def check_tree(tree: Tree, width: int) -> Tree:
    """Return a tree. Raises ValueError if a split leads nowhere, or to a node that another one leads to."""
    reached, waiting = {0}, [0]
    while waiting:
        node = tree[waiting.pop()]
        if isinstance(node, Split):
            children = set(node.children)
            if not 0 <= node.feature < width or min(children) < 0 or max(children) >= len(tree) or children & reached:
                raise ValueError(f"a split on feature {node.feature} is not part of a tree")
            reached |= children
            waiting.extend(children)
    return tree


def split_on_number(feature: int, bound: float, left: int, right: int, missing: int) -> Split:
    """Return a split that values below a bound leave to the left."""
    return Split(feature, (bound,), (left, right), missing)


def split_on_intervals(
    feature: int, intervals: Iterable[tuple[float, float]], inside: int, outside: int, missing: int
) -> Split:
    """Return a split that leads values in some intervals, from a bound to the next, `inside` and others `outside`."""
    bounds = [bound for interval in intervals for bound in interval]
    if not bounds:  # nothing but missing values may be inside
        return split_on_number(feature, -math.inf, inside, outside, missing)
    children = [outside, inside] * (len(bounds) // 2) + [outside]
    return Split(feature, bounds, children, missing)


def runs(categories: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last category of each run of consecutive ones."""
    known = sorted(categories)
    if not known:
        return
    breaks = [at for at, (one, following) in enumerate(pairwise(known), 1) if following > one + 1]
    for begin, end in pairwise([0, *breaks, len(known)]):
        yield known[begin], known[end - 1]


def _narrow(values: Array) -> Array:
    return np.clip(values, *np.finfo(np.float32).max * np.array([-0.1, 0.1])).astype(np.float32)

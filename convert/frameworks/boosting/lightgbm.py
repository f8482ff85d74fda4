"""LightGBM: Boosters, the estimators around them, and the text files of Boosters."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.boosting.ensemble import (
    Categories,
    Ensemble,
    Leaf,
    Objective,
    Split,
    Tree,
    check_tree,
    runs,
    split_on_intervals,
    split_on_number,
)
from snooze.convert.frameworks.boosting.framework import THREADS, Boosting, Parts, explain
from snooze.convert.frameworks.interface import Loaded, first_line
from snooze.convert.quiet import quiet

MAGIC: Final = b"tree\n"
END: Final = "\nend of trees"
ZERO: Final = float(np.float32(1e-35))  # up to which LightGBM takes a number for zero, whatever its sign
CATEGORICAL, DEFAULT_LEFT = 1, 2  # bits of a decision type
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2  # in its bits above

OBJECTIVES: Final = {
    "binary": Objective("sigmoid", "classification"),
    "multiclass": Objective("softmax", "classification"),
    "multiclassova": Objective("sigmoid", "classification"),
    "cross_entropy": Objective("sigmoid"),
    "cross_entropy_lambda": Objective("softplus"),
    "poisson": Objective("exp"),
    "gamma": Objective("exp"),
    "tweedie": Objective("exp"),
} | dict.fromkeys(
    ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom", ""),
    Objective(),
)


class LightGBM(Boosting):
    """LightGBM compares in double precision, so there is a graph for rows in double precision too."""

    name = "lightgbm"
    suffixes = ()
    formats = ".txt (LightGBM)"
    precisions = ("single", "double")

    def recognizes_file(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def load(self, path: Path, trust: bool = False) -> Loaded:
        package = self.package()
        content = path.read_bytes() if path.is_file() else b""
        if not content.startswith(MAGIC):
            raise NotAModel(str(path), "is not a text file that LightGBM's Booster.save_model has written")
        if END.encode() not in content:
            raise NotAModel(str(path), "ends before its last tree; copy it again, or save the model again")
        try:
            with quiet():
                return Loaded(package.Booster(model_file=path))
        except (package.basic.LightGBMError, ValueError) as error:
            raise NotAModel(str(path), f"LightGBM cannot read it: {explain(error)}") from None

    def estimators(self) -> tuple[type, ...]:
        package = self.package()
        return package.LGBMClassifier, package.LGBMRegressor, package.LGBMRanker

    def split_up(self, model: Any, package: ModuleType) -> Parts | None:
        if isinstance(model, package.Booster):
            return Parts(model)
        if isinstance(model, package.LGBMClassifier):
            return Parts(model.booster_, "classification", np.asarray(model.classes_))
        return Parts(model.booster_, "regression") if isinstance(model, package.LGBMModel) else None

    def read(self, parts: Parts, name: str) -> Ensemble:
        with quiet():
            text = parts.booster.model_to_string()  # up to the best iteration, as it predicts
        try:
            return read_text(text, name)
        except (KeyError, ValueError, IndexError) as error:
            raise NotAModel(name, f"its trees cannot be read: {first_line(error)}") from None

    def predict(self, parts: Parts, ensemble: Ensemble, rows: Array) -> Array:
        return np.asarray(parts.booster.predict(rows, num_threads=THREADS))


FRAMEWORK: Final = LightGBM()


def read_text(text: str, name: str) -> Ensemble:
    """Return the trees in the text of a Booster; `name` is for errors. Raises Unfitted, Unsupported."""
    trees, _, rest = text.partition(END)
    head, *bodies = trees.split("\nTree=")
    header = _fields(head)
    if not bodies:
        raise Unfitted(name, "train")
    word, *settings = header.get("objective", "").split() or [""]
    if word not in OBJECTIVES:
        raise Unsupported(name, f"its objective '{word}' is not known; expected one of {', '.join(OBJECTIVES)}")
    objective, scale = OBJECTIVES[word], 1.0
    for setting in settings:
        key, _, value = setting.partition(":")
        scale = float(value) if key == "sigmoid" else scale
        if key == "sqrt":
            objective = Objective("signed square")
    targets, width = int(header["num_tree_per_iteration"]), int(header["max_feature_idx"]) + 1
    share = targets / len(bodies) if "average_output" in header else 1.0  # of each tree of a random forest
    names = tuple(header["feature_names"].split(" "))
    return Ensemble(
        trees=tuple(
            check_tree(read_tree(_fields(body), at % targets, share, name), width) for at, body in enumerate(bodies)
        ),
        width=width,
        targets=targets,
        base=(0.0,) * targets,
        inclusive=True,
        objective=objective,
        scale=scale,
        columns=None if names == tuple(f"Column_{at}" for at in range(len(names))) else names,
        categories=_read_categories(rest),
    )


def _read_categories(text: str) -> dict[int, Categories]:
    """Return the categories of the dataframe that a Booster was trained on, from what follows its trees."""
    places = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    known = re.search(r"^pandas_categorical:(\[.*\])$", text, re.MULTILINE)
    found = [tuple(one) for one in json.loads(known[1])] if known else []
    numbers = list(map(int, places[1].split(","))) if places else []
    return dict(zip(numbers, found, strict=True)) if len(numbers) == len(found) else {}


def read_tree(fields: dict[str, str], target: int, share: float, name: str) -> Tree:
    """Return a tree, whose leaves follow its splits and add to one target."""
    if fields.get("is_linear", "0") != "0":
        problem = "its leaves are linear models, which ONNX's trees cannot hold; train it without linear_tree"
        raise Unsupported(name, problem)
    leaves = [Leaf([(target, share * float(value))]) for value in fields["leaf_value"].split()]
    return [*_Splits(fields).read(), *leaves] if len(leaves) > 1 else leaves


@dataclass
class _Splits:
    """The splits in the fields of a tree."""

    fields: dict[str, str]

    def read(self) -> Iterator[Split]:
        features, kinds, left, right = (
            self._column(key, int) for key in ("split_feature", "decision_type", "left_child", "right_child")
        )
        for feature, bound, kind, *pair in zip(
            features, self._column("threshold", float), kinds, left, right, strict=True
        ):
            children = [child if child >= 0 else len(features) + ~child for child in pair]  # a leaf is negative
            yield self._split(feature, bound, kind, *children)

    def _column(self, key: str, kind: Callable[[str], Any]) -> list[Any]:
        return [kind(value) for value in self.fields[key].split()]

    def _split(self, feature: int, bound: float, kind: int, left: int, right: int) -> Split:
        default = left if kind & DEFAULT_LEFT else right
        if kind & CATEGORICAL:
            return split_on_intervals(feature, self._intervals(int(bound)), left, right, missing=right)
        if kind >> 2 == ZERO_IS_MISSING:
            return _split_with_missing_zero(feature, bound, left, right, default)
        missing = default if kind >> 2 == NAN_IS_MISSING else left if bound >= 0 else right
        if -ZERO <= bound <= ZERO:
            bound = ZERO if bound >= 0 else _below(-ZERO)
        return split_on_number(feature, bound, left, right, missing)

    def _intervals(self, number: int) -> Iterator[tuple[float, float]]:
        """Yield bounds of the values that LightGBM, which cuts their fractions off, finds in a set of categories."""
        begin, end = self._column("cat_boundaries", int)[number : number + 2]
        words = self._column("cat_threshold", int)[begin:end]
        categories = (32 * at + bit for at, word in enumerate(words) for bit in range(32) if word >> bit & 1)
        for first, last in runs(categories):
            yield (_below(first) if first else -1.0), _below(last + 1)


def _split_with_missing_zero(feature: int, bound: float, left: int, right: int, default: int) -> Split:
    """Return a split on a number that is missing where it is zero or NaN."""
    bounds = sorted({_below(-ZERO), ZERO, bound})
    children = [default if -ZERO <= one <= ZERO else left if one <= bound else right for one in bounds]
    return Split(feature, bounds, [*children, right], default)


def _below(value: float) -> float:
    return math.nextafter(value, -math.inf)


def _fields(text: str) -> dict[str, str]:
    """Return the lines `key=value` of a section by key; a line without a value has an empty one."""
    return {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}

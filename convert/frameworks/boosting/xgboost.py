"""XGBoost: Boosters, the estimators around them, and the JSON and UBJSON files of Boosters."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise
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
    check_tree,
    runs,
    split_on_intervals,
    split_on_number,
)
from snooze.convert.frameworks.boosting.framework import THREADS, Boosting, Parts, explain
from snooze.convert.frameworks.interface import Loaded
from snooze.convert.quiet import quiet

BEGIN: Final = 1024  # bytes of a file in which its first keys are
OLD: Final = b"binf"  # begin of a binary file of version 2 or older
HARD: Final = ("multi:softmax", "binary:hinge")  # objectives that predict a class, not how likely it is

OBJECTIVES: Final[dict[str, Objective]] = {
    "binary:logistic": Objective("sigmoid", "classification"),
    "binary:logitraw": Objective("identity", "classification"),
    "binary:hinge": Objective("identity", "classification"),
    "multi:softmax": Objective("softmax", "classification"),
    "multi:softprob": Objective("softmax", "classification"),
    "reg:logistic": Objective("sigmoid"),
} | {
    name: objective
    for names, objective in (
        ("reg:squarederror reg:squaredlogerror reg:pseudohubererror reg:absoluteerror", Objective()),
        ("reg:quantileerror reg:expectileerror rank:ndcg rank:map rank:pairwise", Objective()),
        ("count:poisson reg:gamma reg:tweedie survival:cox survival:aft", Objective("exp")),
    )
    for name in names.split()
}


class XGBoost(Boosting):
    """XGBoost compares in single precision."""

    name = "xgboost"
    suffixes = (".ubj", ".bst", ".model")
    formats = ".json, .ubj or .bst (XGBoost)"
    refuses_unknown = True  # though it takes some for others, as "bb" for "b"

    def recognizes_file(self, path: Path) -> bool:
        begin = _read_begin(path)
        return begin.startswith(OLD) or (begin[:1] == b"{" and b"learner" in begin)

    def load(self, path: Path, trust: bool = False) -> Loaded:
        """Return the Booster in a file; a warning says if early stopping found that its last trees are not needed."""
        package = self.package()
        if _read_begin(path)[:1] != b"{":
            kind = "is neither JSON nor UBJSON of XGBoost; a binary file of an older version must be read with it"
            raise NotAModel(str(path), f"{kind} (2.1 or older), and saved: booster.save_model('model.json')")
        try:
            with quiet():
                booster = package.Booster({"nthread": THREADS}, model_file=path)
        except (package.core.XGBoostError, ValueError) as error:
            raise NotAModel(str(path), f"XGBoost cannot read it: {explain(error)}") from None
        used, trained = count_rounds(booster), booster.num_boosted_rounds()
        warning = f"only the first {used} of {trained} rounds are used, which early stopping found best"
        return Loaded(booster, (warning,) if used < trained else ())

    def estimators(self) -> tuple[type, ...]:
        names = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
        package = self.package()
        return tuple(getattr(package, name) for name in names if hasattr(package, name))

    def split_up(self, model: Any, package: ModuleType) -> Parts | None:
        if isinstance(model, package.Booster):
            return Parts(model)
        if not isinstance(model, package.XGBModel):
            return None
        booster, missing = model.get_booster(), float(model.missing)
        if isinstance(model, package.XGBClassifier):
            return Parts(booster, "classification", np.asarray(model.classes_), missing)
        return Parts(booster, "regression", missing=missing)

    def read(self, parts: Parts, name: str) -> Ensemble:
        with quiet():
            learner = json.loads(parts.booster.save_raw("json"))["learner"]
            rounds = count_rounds(parts.booster)
        try:
            return read_learner(learner, rounds, parts, name)
        except ValueError as error:
            raise NotAModel(name, f"its trees cannot be read: {error}") from None

    def predict(self, parts: Parts, ensemble: Ensemble, rows: Array) -> Array:
        answer = np.asarray(
            parts.booster.inplace_predict(
                rows,
                iteration_range=(0, count_rounds(parts.booster)),
                predict_type="margin" if ensemble.hard else "value",
                missing=parts.missing,
            )
        )
        return _softmax(answer) if ensemble.hard and ensemble.objective.link == "softmax" else answer


FRAMEWORK: Final = XGBoost()


def _read_begin(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(BEGIN)


def count_rounds(booster: Any) -> int:
    """Return the number of rounds that count: up to the best one, if training was stopped early."""
    trained, best = int(booster.num_boosted_rounds()), booster.attr("best_iteration")
    return trained if best is None else min(int(best) + 1, trained)


def read_learner(learner: dict[str, Any], rounds: int, parts: Parts, name: str) -> Ensemble:
    """Return the trees of the first rounds of a learner, as XGBoost's JSON describes it. Raises Unsupported."""
    booster, word = learner["gradient_booster"], learner["objective"]["name"]
    if booster["name"] == "gblinear":
        raise Unsupported(name, "its booster gblinear is a linear model; train a linear model of scikit-learn")
    if word not in OBJECTIVES:
        raise Unsupported(name, f"its objective '{word}' is not known; expected one of {', '.join(OBJECTIVES)}")
    objective = OBJECTIVES[word]
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    last = model["iteration_indptr"][rounds]
    if not last:
        raise Unfitted(name, "train")
    sizes = learner["learner_model_param"]
    classes, several, width = (int(sizes[key]) for key in ("num_class", "num_target", "num_feature"))
    targets = max(classes, several, 1)
    if targets > 1 and word.startswith("binary:"):
        raise Unsupported(name, "it predicts several labels at once; train one model for each")
    if word in HARD and parts.task == "regression":
        raise Unsupported(name, f"its objective {word} predicts classes; train an XGBClassifier instead")
    share = booster.get("weight_drop") or model.get("weight_drop") or [1.0] * last  # XGBoost 3.3 moved it
    trees = zip(model["trees"][:last], model["tree_info"], share, strict=False)
    return Ensemble(
        trees=tuple(check_tree(list(read_nodes(tree, target, float(weight))), width) for tree, target, weight in trees),
        width=width,
        targets=targets,
        base=read_base(sizes["base_score"], word, targets),
        inclusive=False,
        objective=objective,
        hard=word in HARD,
        missing=parts.missing,
        columns=tuple(learner["feature_names"]) or None,
        categories=dict(_read_categories(model)),
    )


def _read_categories(model: dict[str, Any]) -> Iterator[tuple[int, Categories]]:
    """Yield the number and the categories of each column with categories of the dataframe that it was trained on."""
    for feature, known in enumerate(model.get("cats", {}).get("enc", ())):
        values = known["values"]
        if "offsets" in known:  # of texts, whose offsets XGBoost 3.2 gets wrong unless all are ASCII
            is_ascii = all(one >= 0 for one in values)
            content = np.array(values, np.int8).tobytes() if is_ascii else b""
            values = [content[begin:end].decode() for begin, end in pairwise(known["offsets"])] if is_ascii else []
        if values:
            yield feature, tuple(values)


def read_base(text: str, objective: str, targets: int) -> tuple[float, ...]:
    """Return what the trees of each target are added to; the file holds what it makes of the answer."""
    values = [float(value) for value in text.strip("[]").split(",")]
    link = OBJECTIVES[objective].link
    if link == "sigmoid":
        values = [-math.log(1 / value - 1) for value in values]
    elif link == "exp":
        values = [math.log(value) for value in values]
    return tuple(values * targets if len(values) == 1 else values)


def read_nodes(tree: dict[str, Any], target: int, share: float) -> Iterator[Split | Leaf]:
    """Yield the nodes of a tree whose leaves add to one target, or to all if they are vectors."""
    width = int(tree["tree_param"]["size_leaf_vector"])
    sets = dict(zip(tree["categories_nodes"], _sets(tree), strict=True))
    columns = ("left_children", "right_children", "default_left", "split_indices", "split_conditions")
    for at, (left, right, to_left, feature, value) in enumerate(zip(*map(tree.__getitem__, columns), strict=True)):
        missing = left if to_left else right
        if left == -1 and width > 1:
            vector = tree["leaf_weights"][right * width : (right + 1) * width]
            yield Leaf([(number, share * float(weight)) for number, weight in enumerate(vector)])
        elif left == -1:
            yield Leaf([(target, share * float(value))])
        elif at in sets:
            # Fractions are cut off. Negative values are in no set: -0.5 is not category 0.
            intervals = ((float(first), float(last + 1)) for first, last in runs(sets[at]))
            yield split_on_intervals(feature, intervals, right, left, missing)
        else:
            bound = float(np.float32(value))  # the text is only as long as needed to tell it from its neighbours
            yield split_on_number(feature, bound, left, right, missing)


def _sets(tree: dict[str, Any]) -> Iterator[list[int]]:
    for begin, size in zip(tree["categories_segments"], tree["categories_sizes"], strict=True):
        yield tree["categories"][begin : begin + size]


def _softmax(margins: Array) -> Array:
    powers = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))

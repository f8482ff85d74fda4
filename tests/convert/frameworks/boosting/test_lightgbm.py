from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from snooze.bundle.errors import InvalidOption
from snooze.convert.checks.cases import Array
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.boosting.ensemble import Split
from snooze.convert.frameworks.boosting.lightgbm import FRAMEWORK, read_text
from snooze.convert.frameworks.interface import Hints, Original
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework
Agree = Callable[..., Original]
Data = tuple[Array, Array]
SMALL = {"verbose": -1, "num_leaves": 7, "min_data_in_leaf": 3, "num_threads": 1}
FEW = {"verbose": -1, "num_leaves": 7, "n_estimators": 5, "n_jobs": 1}
CLASSES = ["label", "probabilities"]


def train(settings: dict[str, Any], rows: Array, labels: Array, rounds: int = 6, **more: Any) -> Any:
    with quiet():
        return lightgbm.train({**SMALL, **settings}, lightgbm.Dataset(rows, labels, **more), rounds)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "regression"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "quantile", "alpha": 0.2},
        {"objective": "huber"},
        {"objective": "poisson"},
        {"objective": "gamma"},
        {"objective": "tweedie"},
        {"objective": "mape"},
        {"objective": lambda sums, data: (sums - data.get_label(), np.ones(len(sums)))},
        {"objective": "regression", "boosting": "dart", "drop_rate": 0.5},
        {"objective": "regression", "data_sample_strategy": "goss"},
        {"objective": "poisson", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"objective": "regression", "min_data_in_leaf": 1000},
    ],
    ids=lambda value: "-".join("custom" if callable(one) else str(one) for one in value.values()),
)
def test_regressions(agree: Agree, diabetes: Data, settings: dict[str, Any]) -> None:
    original = agree(train(settings, *diabetes), diabetes[0])

    assert (original.framework, original.model, original.task) == ("lightgbm", "Booster", "regression")
    assert list(original.roles) == ["value"]


@pytest.mark.parametrize("objective", ["cross_entropy", "cross_entropy_lambda"])
def test_cross_entropies(agree: Agree, diabetes: Data, objective: str) -> None:
    rows, values = diabetes

    assert agree(train({"objective": objective}, rows, values / 400), rows).task == "regression"


@pytest.mark.parametrize("objective", ["lambdarank", "rank_xendcg"])
def test_rankings(agree: Agree, diabetes: Data, objective: str) -> None:
    rows, values = diabetes
    groups = [100, len(rows) - 100]

    assert agree(train({"objective": objective}, rows, values > 150, group=groups), rows).task == "regression"


@pytest.mark.parametrize(
    "settings", [{}, {"sigmoid": 0.7}, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}], ids=str
)
def test_two_classes(agree: Agree, cancer: Data, settings: dict[str, Any]) -> None:
    original = agree(train({"objective": "binary", **settings}, *cancer), cancer[0])

    assert (list(original.roles), original.classes) == (CLASSES, (0, 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "multiclass"},
        {"objective": "multiclassova", "sigmoid": 2},
        {"objective": "multiclass", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    ],
    ids=str,
)
def test_several_classes(agree: Agree, wine: Data, settings: dict[str, Any]) -> None:
    original = agree(train({"num_class": 3, **settings}, *wine), wine[0])

    assert (list(original.roles), original.classes) == (CLASSES, (0, 1, 2))


@pytest.mark.parametrize("settings", [{}, {"zero_as_missing": True}, {"use_missing": False}], ids=str)
@pytest.mark.parametrize("gap", [np.nan, 0.0])
def test_missing_values(agree: Agree, diabetes: Data, settings: dict[str, Any], gap: float) -> None:
    rows = np.where(np.random.default_rng(0).random(diabetes[0].shape) < 0.3, gap, diabetes[0])

    agree(train({"objective": "regression", **settings}, rows, diabetes[1]), rows)


@pytest.mark.parametrize("most", [2, 100], ids=["sets", "one against the rest"])
def test_categories(agree: Agree, coded: Data, most: int) -> None:
    settings = {"objective": "regression", "min_data_per_group": 3, "cat_smooth": 1, "max_cat_to_onehot": most}
    model = train(settings, *coded, rounds=15, categorical_feature=[0, 1])

    agree(model, coded[0])
    trees = FRAMEWORK.open(model).ensemble.trees
    assert any(len(one.bounds) > 1 for tree in trees for one in tree if isinstance(one, Split))


def test_stops_at_the_best_iteration(agree: Agree, cancer: Data) -> None:
    rows, labels = cancer
    data, stop = lightgbm.Dataset(rows[:150], labels[:150]), lightgbm.early_stopping(3, verbose=False)
    with quiet():
        model = lightgbm.train(
            {**SMALL, "objective": "binary", "learning_rate": 0.9}, data, 40,
            valid_sets=[lightgbm.Dataset(rows[150:], 1 - labels[150:], reference=data)], callbacks=[stop],
        )  # fmt: skip

    assert len(FRAMEWORK.open(model).ensemble.trees) == model.best_iteration < 5
    agree(model, rows)


@pytest.mark.parametrize("names", [[0, 1, 2], [-5, 5, 15], ["red", "green", "blue"]])
def test_estimators_of_classes(agree: Agree, wine: Data, names: list[Any]) -> None:
    rows, labels = wine
    model = lightgbm.LGBMClassifier(**FEW).fit(rows, np.array(names)[labels])

    def predict(case: Array) -> dict[str, Any]:
        with quiet():
            return {"label": model.predict(case), "probabilities": model.predict_proba(case)}

    original = agree(model, rows, predict)

    assert (original.framework, original.model) == ("lightgbm", "LGBMClassifier")
    assert original.classes == tuple(sorted(names))


def test_an_estimator_may_take_another_objective(agree: Agree, cancer: Data) -> None:
    rows, labels = cancer
    classifier = lightgbm.LGBMClassifier(objective="cross_entropy", **FEW).fit(rows, labels)
    regressor = lightgbm.LGBMRegressor(objective="binary", **FEW).fit(rows, labels)

    assert agree(classifier, rows).task == "classification"
    assert agree(regressor, rows).task == "regression"


def test_an_estimator_that_ranks(agree: Agree, diabetes: Data) -> None:
    rows, values = diabetes

    assert agree(lightgbm.LGBMRanker(**FEW).fit(rows, values > 150, group=[len(rows)]), rows).model == "LGBMRanker"


def test_a_classifier_without_probabilities_is_refused(cancer: Data) -> None:
    model = lightgbm.LGBMClassifier(objective=lambda labels, sums: (sums - labels, np.ones(len(sums))), **FEW)

    with pytest.raises(Unsupported, match="its objective gives no probabilities"):
        FRAMEWORK.signature(model.fit(*cancer))


def test_linear_leaves_are_refused(diabetes: Data) -> None:
    with pytest.raises(Unsupported, match="train it without linear_tree"):
        FRAMEWORK.signature(train({"objective": "regression", "linear_tree": True}, *diabetes))


def test_another_task_is_refused(diabetes: Data) -> None:
    with pytest.raises(InvalidOption, match="the Booster is trained for regression") as caught:
        FRAMEWORK.describe(train({}, *diabetes), (), Hints(task="classification"))

    assert caught.value.option == "--task"


def test_an_unfitted_estimator_is_refused() -> None:
    with pytest.raises(Unfitted):
        FRAMEWORK.signature(lightgbm.LGBMRegressor())


def test_a_data_set_is_not_a_model(diabetes: Data) -> None:
    with pytest.raises(NotAModel, match="is not a Booster or an estimator of lightgbm"):
        FRAMEWORK.signature(lightgbm.Dataset(*diabetes))


def test_columns_are_named_in_training(diabetes: Data) -> None:
    rows, values = diabetes

    assert FRAMEWORK.columns(train({}, rows, values)) is None
    assert FRAMEWORK.columns(train({}, rows[:, :2], values, feature_name=["age", "sex"])) == ("age", "sex")


def test_draws_values_around_the_bounds(diabetes: Data) -> None:
    rows, values = diabetes
    (given,) = FRAMEWORK.signature(train({}, rows * 0 + 50 + rows, values))

    assert given.tensor == ("features", "FP32", (-1, 10), None)
    center, scale = np.broadcast_arrays(given.domain.center, given.domain.scale)
    used = center != 0
    assert used.sum() >= 3
    assert np.allclose(center[used], 50, atol=0.2)
    assert (scale > 0).all()


def test_reads_its_text_files(tmp_path: Path, agree: Agree, wine: Data) -> None:
    path = tmp_path / "model"
    model = train({"objective": "multiclass", "num_class": 3}, *wine).save_model(path)

    assert FRAMEWORK.recognizes_file(path)
    assert not FRAMEWORK.recognizes_file(tmp_path)
    loaded = FRAMEWORK.load(path)
    assert loaded.warnings == ()
    assert (agree(loaded.model, wine[0]).run({"features": wine[0]})["probabilities"] == model.predict(wine[0])).all()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[: len(text) // 3], "ends before its last tree"),
        (lambda text: "trees\n" + text, "is not a text file that LightGBM's Booster.save_model has written"),
        (lambda text: text.replace("max_feature_idx=9", "max_feature_idx=99"), "LightGBM cannot read it: "),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, diabetes: Data, change: Callable[[str], str], problem: str) -> None:
    path = tmp_path / "model.txt"
    path.write_text(change(train({}, *diabetes).model_to_string()))

    with pytest.raises(NotAModel, match=problem) as caught, quiet():
        FRAMEWORK.load(path)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", ["left_child=1 ", "right_child=2 "])
def test_a_tree_with_a_cycle_is_refused(diabetes: Data, old: str) -> None:
    text = train({}, *diabetes).model_to_string()
    new = old.partition("=")[0] + "=0 "
    assert old in text

    with pytest.raises(ValueError, match="is not part of a tree"):
        read_text(text.replace(old, new), "Booster")


def test_an_unknown_objective_is_refused(diabetes: Data) -> None:
    text = train({}, *diabetes).model_to_string().replace("objective=regression", "objective=new")

    with pytest.raises(Unsupported, match="its objective 'new' is not known; expected one of binary, "):
        read_text(text, "Booster")


def test_a_booster_without_trees_is_refused(diabetes: Data) -> None:
    with quiet():
        model = lightgbm.Booster(SMALL, lightgbm.Dataset(*diabetes))

    with pytest.raises(Unfitted):
        FRAMEWORK.signature(model)

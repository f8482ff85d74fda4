import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import xgboost

from snooze.convert.checks.cases import Array
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.boosting.ensemble import Split
from snooze.convert.frameworks.boosting.xgboost import FRAMEWORK, read_learner
from snooze.convert.frameworks.interface import Original
from snooze.convert.quiet import quiet

pytestmark = [
    pytest.mark.framework,
    pytest.mark.filterwarnings("ignore:(?s).*is deprecated"),  # XGBoost 3.3 and later, of dart, gblinear and XGBRF
]
Agree = Callable[..., Original]
Data = tuple[Array, Array]
SMALL = {"max_depth": 3, "nthread": 1}
FEW = {"max_depth": 3, "n_estimators": 5, "n_jobs": 1}
CLASSES = ["label", "probabilities"]


def train(settings: dict[str, Any], rows: Array, labels: Array, rounds: int = 6, **more: Any) -> Any:
    return xgboost.train({**SMALL, **settings}, xgboost.DMatrix(rows, labels, **more), rounds)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "reg:squarederror"},
        {"objective": "reg:squaredlogerror"},
        {"objective": "reg:pseudohubererror"},
        {"objective": "reg:absoluteerror"},
        {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
        {"objective": "count:poisson"},
        {"objective": "reg:gamma"},
        {"objective": "reg:tweedie"},
        {"objective": "survival:cox"},
        {"objective": "reg:squarederror", "base_score": 100},
        {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.5},
        {"objective": "reg:squarederror", "num_parallel_tree": 3, "subsample": 0.5},
        {"objective": "reg:squarederror", "tree_method": "exact"},
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_regressions(agree: Agree, diabetes: Data, settings: dict[str, Any]) -> None:
    original = agree(train(settings, *diabetes), diabetes[0])

    assert (original.framework, original.model, original.task) == ("xgboost", "Booster", "regression")
    assert list(original.roles) == ["value"]


def test_regression_of_a_probability(agree: Agree, diabetes: Data) -> None:
    rows, values = diabetes

    assert agree(train({"objective": "reg:logistic"}, rows, values / 400), rows).task == "regression"


def test_survival(agree: Agree, diabetes: Data) -> None:
    rows, values = diabetes
    data = xgboost.DMatrix(rows, label_lower_bound=values, label_upper_bound=values)

    agree(xgboost.train({**SMALL, "objective": "survival:aft"}, data, 5), rows)


@pytest.mark.parametrize("objective", ["rank:ndcg", "rank:map", "rank:pairwise"])
def test_rankings(agree: Agree, diabetes: Data, objective: str) -> None:
    rows, values = diabetes

    agree(train({"objective": objective}, rows, values > 150, qid=np.arange(len(rows)) // 50), rows)


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_values(agree: Agree, diabetes: Data, strategy: str) -> None:
    rows, values = diabetes
    model = train({"multi_strategy": strategy}, rows, np.c_[values, -values, values**2])

    assert agree(model, rows).run({"features": rows})["value"].shape == (len(rows), 3)


def test_an_objective_of_the_user(agree: Agree, diabetes: Data) -> None:
    def objective(sums: Array, data: Any) -> tuple[Array, Array]:
        return sums - data.get_label(), np.ones(len(sums))

    agree(xgboost.train(SMALL, xgboost.DMatrix(*diabetes), 3, obj=objective), diabetes[0])


@pytest.mark.parametrize(
    ("objective", "output"),
    [("binary:logistic", "probabilities"), ("binary:logitraw", "scores"), ("binary:hinge", "scores")],
)
@pytest.mark.parametrize("base", [{}, {"base_score": 0.2}], ids=["estimated base", "given base"])
def test_two_classes(agree: Agree, cancer: Data, objective: str, output: str, base: dict[str, float]) -> None:
    model = train({"objective": objective, **base}, *cancer)
    original = agree(model, cancer[0])

    assert (list(original.roles), original.classes) == (["label", output], (0, 1))
    if objective == "binary:hinge":
        answers = original.run({"features": cancer[0]})["label"]
        assert (answers == model.predict(xgboost.DMatrix(cancer[0]))).all()


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
@pytest.mark.parametrize("settings", [{}, {"booster": "dart", "rate_drop": 0.5}, {"num_parallel_tree": 3}], ids=str)
def test_several_classes(agree: Agree, wine: Data, objective: str, settings: dict[str, Any]) -> None:
    model = train({"objective": objective, "num_class": 3, **settings}, *wine)
    original = agree(model, wine[0])

    assert (list(original.roles), original.classes) == (CLASSES, (0, 1, 2))
    if objective == "multi:softmax":
        answers = original.run({"features": wine[0]})["label"]
        assert (answers == model.predict(xgboost.DMatrix(wine[0]))).all()


def test_missing_values(agree: Agree, diabetes: Data) -> None:
    rows = np.where(np.random.default_rng(0).random(diabetes[0].shape) < 0.3, np.nan, diabetes[0])

    agree(train({}, rows, diabetes[1]), rows)


@pytest.mark.parametrize("missing", [0.0, -0.5])
def test_another_value_means_missing(agree: Agree, cancer: Data, missing: float) -> None:
    rows = np.where(np.random.default_rng(0).random(cancer[0].shape) < 0.3, missing, cancer[0])
    model = xgboost.XGBClassifier(missing=missing, **FEW).fit(rows, cancer[1])

    agree(model, rows, lambda case: {"label": model.predict(case), "probabilities": model.predict_proba(case)})


@pytest.mark.parametrize("most", [2, 100], ids=["sets", "one against the rest"])
def test_categories(agree: Agree, coded: Data, most: int) -> None:
    kinds: dict[str, Any] = {"feature_types": ["c", "c", "q"], "enable_categorical": True}
    model = train({"max_cat_to_onehot": most}, *coded, rounds=10, **kinds)

    agree(model, coded[0])
    trees = FRAMEWORK.open(model).ensemble.trees
    assert any(len(one.bounds) > 1 for tree in trees for one in tree if isinstance(one, Split))


def test_categories_of_a_frame_are_codes(agree: Agree, diabetes: Data) -> None:
    rows, values = diabetes
    colours = pandas.Categorical(np.array(["red", "green", "blue"])[np.arange(len(rows)) % 3])
    frame = pandas.DataFrame({"colour": colours, "the size": rows[:, 2]})
    target = values + 100 * (colours == "green")
    model = xgboost.XGBRegressor(enable_categorical=True, **FEW).fit(frame, target)
    matrix = np.c_[colours.codes, rows[:, 2]].astype(np.float32)

    original = agree(model, matrix)

    assert FRAMEWORK.columns(model) == ("colour", "the size")
    assert (original.run({"features": matrix})["value"][:, 0] == model.predict(frame)).all()


def test_stops_at_the_best_iteration(tmp_path: Path, agree: Agree, cancer: Data) -> None:
    rows, labels = cancer
    model = xgboost.XGBClassifier(early_stopping_rounds=3, learning_rate=0.9, **FEW | {"n_estimators": 40})
    model.fit(rows[:150], labels[:150], eval_set=[(rows[150:], 1 - labels[150:])], verbose=False)
    model.save_model(tmp_path / "model.json")

    agree(model, rows, lambda case: {"label": model.predict(case), "probabilities": model.predict_proba(case)})
    assert len(FRAMEWORK.open(model).ensemble.trees) == model.best_iteration + 1
    loaded = FRAMEWORK.load(tmp_path / "model.json")
    trained = model.get_booster().num_boosted_rounds()
    assert loaded.warnings == (
        f"only the first {model.best_iteration + 1} of {trained} rounds are used, which early stopping found best",
    )
    assert (agree(loaded.model, rows).run({"features": rows})["probabilities"] == model.predict_proba(rows)).all()


@pytest.mark.parametrize("kind", [xgboost.XGBClassifier, xgboost.XGBRFClassifier])
def test_estimators_of_classes(agree: Agree, wine: Data, kind: Any) -> None:
    model = kind(**FEW).fit(*wine)

    original = agree(
        model, wine[0], lambda case: {"label": model.predict(case), "probabilities": model.predict_proba(case)}
    )

    assert (original.framework, original.model, original.classes) == ("xgboost", kind.__name__, (0, 1, 2))


@pytest.mark.parametrize("kind", [xgboost.XGBRegressor, xgboost.XGBRFRegressor])
def test_estimators_of_values(agree: Agree, diabetes: Data, kind: Any) -> None:
    model = kind(**FEW).fit(*diabetes)

    agree(model, diabetes[0], lambda case: {"value": model.predict(case)})


def test_an_estimator_that_ranks(agree: Agree, diabetes: Data) -> None:
    rows, values = diabetes
    model = xgboost.XGBRanker(**FEW).fit(rows, values > 150, qid=np.arange(len(rows)) // 50)

    agree(model, rows, lambda case: {"value": model.predict(case)})


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (xgboost.XGBClassifier(objective="binary:logitraw", **FEW), "its objective gives no probabilities"),
        (xgboost.XGBRegressor(objective="binary:hinge", **FEW), "its objective binary:hinge predicts classes"),
        (xgboost.XGBRegressor(booster="gblinear", n_estimators=2, n_jobs=1), "gblinear is a linear model"),
    ],
    ids=["logitraw", "hinge", "gblinear"],
)
def test_unusual_estimators_are_refused(cancer: Data, model: Any, problem: str) -> None:
    with pytest.raises(Unsupported, match=problem):
        FRAMEWORK.signature(model.fit(*cancer))


def test_several_labels_are_refused(cancer: Data) -> None:
    rows, labels = cancer
    with pytest.raises(Unsupported, match="it predicts several labels at once"):
        FRAMEWORK.signature(xgboost.XGBClassifier(**FEW).fit(rows, np.c_[labels, 1 - labels]))


def test_an_unknown_objective_is_refused(diabetes: Data) -> None:
    model = train({}, *diabetes)
    learner = json.loads(model.save_raw("json"))["learner"]
    learner["objective"]["name"] = "reg:new"

    with pytest.raises(Unsupported, match="its objective 'reg:new' is not known"):
        read_learner(learner, 1, FRAMEWORK.open(model).parts, "Booster")


def test_a_model_without_trees_is_refused(diabetes: Data) -> None:
    for model in (xgboost.XGBRegressor(), train({}, *diabetes, rounds=0)):
        with pytest.raises(Unfitted):
            FRAMEWORK.signature(model)


@pytest.mark.parametrize("suffix", ["json", "ubj", "bst"])
def test_reads_its_files(tmp_path: Path, cancer: Data, suffix: str) -> None:
    model = train({"objective": "binary:logistic"}, *cancer)
    with quiet():  # it warns that .bst is written as UBJSON
        model.save_model(tmp_path / f"model.{suffix}")
    path = (tmp_path / f"model.{suffix}").rename(tmp_path / "model")

    assert FRAMEWORK.recognizes_file(path)
    assert not FRAMEWORK.needs_trust(path)
    loaded = FRAMEWORK.load(path)
    assert loaded.warnings == ()
    assert FRAMEWORK.open(loaded.model).ensemble.trees == FRAMEWORK.open(model).ensemble.trees


def test_recognizes_an_unpickled_booster(diabetes: Data) -> None:
    model = pickle.loads(pickle.dumps(train({}, *diabetes)))

    assert FRAMEWORK.recognizes(model)
    assert not FRAMEWORK.recognizes({"learner": model})


@pytest.mark.parametrize(("content", "known"), [(b"\0\0\0\x3f" + bytes(200), False), (b"binf" + bytes(200), True)])
def test_a_binary_file_of_an_older_version_is_refused(tmp_path: Path, content: bytes, known: bool) -> None:
    path = tmp_path / "old.model"
    path.write_bytes(content)

    assert FRAMEWORK.recognizes_file(path) is known
    with pytest.raises(NotAModel, match=r"older version must be read with it .* booster.save_model\('model.json'\)"):
        FRAMEWORK.load(path)


@pytest.mark.parametrize("content", [b"", b'{"a": 1}', b"learner"])
def test_other_files_are_not_recognized(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.json").write_bytes(content)

    assert not FRAMEWORK.recognizes_file(tmp_path / "other.json")
    assert not FRAMEWORK.recognizes_file(tmp_path)


@pytest.mark.parametrize("kind", ["json", "ubj"])
def test_a_damaged_file_is_refused(tmp_path: Path, diabetes: Data, kind: str) -> None:
    content = bytes(train({}, *diabetes).save_raw(kind))
    path = tmp_path / "model"
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(NotAModel, match=r"model: XGBoost cannot read it: [^\[]+$") as caught:
        FRAMEWORK.load(path)

    assert "\n" not in str(caught.value)


def test_a_tree_with_a_cycle_is_refused(tmp_path: Path, diabetes: Data) -> None:
    path = tmp_path / "model"
    content = bytes(train({}, *diabetes).save_raw("json"))
    path.write_bytes(content.replace(b'"left_children":[1,', b'"left_children":[0,'))

    with pytest.raises(NotAModel, match=r"its trees cannot be read: a split on feature \d is not part of a tree"):
        FRAMEWORK.signature(FRAMEWORK.load(path).model)

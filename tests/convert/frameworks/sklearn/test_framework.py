import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from snooze.convert.attempts import Agreed, agree
from snooze.convert.checks.cases import Rows
from snooze.convert.errors import NotAModel, ParityRefused, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Original
from snooze.convert.frameworks.sklearn import framework as from_sklearn

Data = tuple[NDArray[Any], NDArray[Any]]


@contextmanager
def unworried() -> Iterator[None]:
    """Training on little data warns of things that are not the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def wine() -> Data:
    rows, labels = load_wine(return_X_y=True)
    return np.asarray(StandardScaler().fit_transform(rows)), np.asarray(labels)


@pytest.fixture
def convert(tmp_path: Path) -> Callable[[Any, NDArray[Any]], tuple[Original, Agreed]]:
    """Convert a fitted estimator and compare it on rows."""

    def convert(model: Any, rows: NDArray[Any]) -> tuple[Original, Agreed]:
        original = from_sklearn.original(model, None, None)
        return original, agree(original, Rows({"features": rows}), tmp_path)

    return convert


Convert = Callable[[Any, NDArray[Any]], tuple[Original, Agreed]]


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), {"label": (-1,), "probabilities": (-1, 3)}),
        (RandomForestClassifier(10, random_state=0), {"label": (-1,), "probabilities": (-1, 3)}),
        (HistGradientBoostingClassifier(max_iter=5), {"label": (-1,), "probabilities": (-1, 3)}),
        (GradientBoostingClassifier(n_estimators=5), {"label": (-1,), "probabilities": (-1, 3)}),
        (SVC(), {"label": (-1,), "scores": (-1, 3)}),
        (LinearSVC(), {"label": (-1,), "scores": (-1, 3)}),
        (make_pipeline(StandardScaler(), LinearSVC()), {"label": (-1,), "scores": (-1, 3)}),
        (make_pipeline(StandardScaler(), SVC()), {"label": (-1,), "scores": (-1, 3)}),
        (MLPClassifier(max_iter=50, random_state=0), {"label": (-1,), "probabilities": (-1, 3)}),
        (
            VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft"),
            {"label": (-1,), "probabilities": (-1, 3)},
        ),
        (VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))]), {"label": (-1,)}),
        (
            GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
            {"label": (-1,), "probabilities": (-1, 3)},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_converts_classifiers(convert: Convert, wine: Data, model: Any, outputs: dict[str, tuple[int, ...]]) -> None:
    rows, labels = wine
    with unworried():
        model.fit(rows, labels)

    original, agreed = convert(model, rows)

    assert (original.task, original.classes) == ("classification", (0, 1, 2))
    assert {one.name: one.shape for one in agreed.outputs} == outputs
    assert agreed.parity["flips"] == agreed.parity["outliers"] == 0
    assert agreed.parity["edge_rows"] >= 50


@pytest.mark.parametrize(
    "model", [SVC(), LinearSVC(), SGDClassifier(), RidgeClassifier()], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("scaled", [False, True])
def test_two_classes_have_two_scores(convert: Convert, wine: Data, model: Any, scaled: bool) -> None:
    rows, labels = wine
    fitted = (make_pipeline(StandardScaler(), model) if scaled else model).fit(rows, labels == 1)

    original, agreed = convert(fitted, rows)

    assert original.classes == (False, True)
    assert {one.name: one.shape for one in agreed.outputs} == {"label": (-1,), "scores": (-1, 2)}
    assert agreed.parity["flips"] == 0


@pytest.mark.parametrize(
    ("model", "task", "roles"),
    [
        (Ridge(), "regression", {"value": "value"}),
        (RandomForestRegressor(10), "regression", {"value": "value"}),
        (KMeans(3, n_init=1), "clustering", {"label": "label", "distances": None}),
        (IsolationForest(n_estimators=10), "outliers", {"label": "label", "score": "value"}),
        (PCA(2), "transform", {"embedding": "embedding"}),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else None,
)
def test_converts_what_does_not_classify(
    convert: Convert, wine: Data, model: Any, task: str, roles: dict[str, str | None]
) -> None:
    rows, labels = wine

    original, agreed = convert(model.fit(rows, labels * 1.5), rows)

    assert original.task == task
    assert {one.name: one.role for one in agreed.outputs} == roles
    assert original.classes is None
    assert agreed.parity["verdict"] == "agrees"


def test_several_values_are_several_columns(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = RandomForestRegressor(5).fit(rows, np.c_[labels, -labels])

    _, agreed = convert(model, rows)

    assert [one.shape for one in agreed.outputs] == [(-1, 2)]


def test_string_labels_are_byte_tensors(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = LogisticRegression().fit(rows, np.array(["rouge", "blanc", "rosé"])[labels])

    original, agreed = convert(model, rows)

    assert original.classes == ("blanc", "rosé", "rouge")
    assert agreed.outputs[0].datatype == "BYTES"
    assert agreed.parity["flips"] == 0


def test_any_whole_numbers_are_classes(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    original, agreed = convert(LogisticRegression().fit(rows, labels * 10 - 5), rows)

    assert original.classes == (-5, 5, 15)
    outputs = original({"features": rows})
    decision = original.decision(outputs)
    assert decision is not None
    assert (outputs["label"] == np.array(original.classes)[decision]).all()
    assert agreed.parity["flips"] == 0


@pytest.fixture(scope="module")
def ages() -> Data:
    """Whole numbers with many rows on each, so that a scaler in single precision puts some on the wrong side."""
    generator = np.random.default_rng(0)
    rows = np.stack([generator.integers(0, most, 3_000) for most in (90, 20, 1_000)], axis=1).astype(np.float64)
    return rows, ((rows[:, 0] > 45) ^ (rows[:, 1] > 7) ^ (rows[:, 2] > 400)).astype(int)


def test_a_scaler_before_trees_is_converted_in_double_precision(convert: Convert, ages: Data) -> None:
    rows, labels = ages
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(
        rows[:1_500], labels[:1_500]
    )

    _, agreed = convert(model, rows)

    assert agreed.parity["conversion"] == "double precision up to the last step"
    assert [one["conversion"] for one in agreed.parity["failed"]] == [
        "single precision",
        "exact division in the scaler",
    ]
    assert "rows differ by more than the tolerance" in agreed.parity["failed"][0]["problem"]
    assert (agreed.parity["outliers"], agreed.parity["flips"]) == (0, 0)
    assert agreed.inputs[0].datatype == "FP64"


def test_trees_alone_need_no_remedy(convert: Convert, ages: Data) -> None:
    rows, labels = ages

    _, agreed = convert(RandomForestClassifier(20, random_state=0).fit(rows, labels), rows)

    assert agreed.parity["conversion"] == "single precision"
    assert agreed.parity["failed"] == []
    assert agreed.inputs[0].datatype == "FP32"


def test_tells_where_trees_take_missing_values_otherwise(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    _, forest = convert(RandomForestClassifier(10, random_state=0).fit(rows, labels), rows)
    _, boosting = convert(HistGradientBoostingClassifier(max_iter=5).fit(rows, labels), rows)
    _, linear = convert(LogisticRegression().fit(rows, labels), rows)

    assert [one.parity["missing"] for one in (forest, boosting, linear)] == ["differs", "agrees", "refused"]


def test_isotonic_calibration_is_refused(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = CalibratedClassifierCV(RandomForestClassifier(10, random_state=0), method="isotonic").fit(rows, labels)

    with pytest.raises(ParityRefused) as caught:
        convert(model, rows)

    message = str(caught.value)
    assert message.startswith(
        "parity gate: converted in single precision, the CalibratedClassifierCV answers otherwise:"
    )
    assert "of 178 rows differ by more than the tolerance" in message
    assert message.endswith("calibrate with method='sigmoid'")


def test_the_voting_classifier_of_the_user_is_not_touched(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = VotingClassifier([("a", LogisticRegression())], voting="soft").fit(rows, labels)

    convert(model, rows)

    assert model.flatten_transform


@pytest.mark.parametrize("model", [LogisticRegression(), make_pipeline(StandardScaler(), Ridge())])
def test_says_what_is_not_fitted(model: Any) -> None:
    with pytest.raises(Unfitted, match=f"the {type(model).__name__} is not fitted; call fit on it and save it again"):
        from_sklearn.inputs(model)


def test_a_class_is_no_estimator() -> None:
    with pytest.raises(NotAModel, match="is not an estimator"):
        from_sklearn.inputs(Ridge)


@pytest.mark.parametrize(
    ("model", "rows", "problem"),
    [
        (TfidfVectorizer(), ["a text", "another"], "takes something else than a matrix of numbers, such as texts"),
        (
            OrdinalEncoder(),
            np.array([["a"], ["b"]]),
            "OrdinalEncoder was trained on texts; encode them as numbers before",
        ),
    ],
)
def test_texts_are_refused(model: Any, rows: Any, problem: str) -> None:
    with pytest.raises(Unsupported, match=problem):
        from_sklearn.inputs(model.fit(rows))


def test_columns_picked_by_name_are_refused() -> None:
    model = ColumnTransformer([("scale", StandardScaler(), [0])]).fit(np.eye(3))
    assert from_sklearn.inputs(model)[0].shape == (-1, 3)

    model.transformers = [("scale", StandardScaler(), ["age"])]
    with pytest.raises(Unsupported, match="picks columns by name, which needs a dataframe; pick them by position"):
        from_sklearn.inputs(model)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (MultiOutputClassifier(LogisticRegression()), "it predicts several labels at once; train one model for each"),
        (GaussianMixture(2), "what it answers is neither a label, a value nor an embedding of new rows"),
        (DBSCAN(), "what it answers is neither a label, a value nor an embedding of new rows"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else None,
)
def test_models_without_an_answer_to_serve_are_refused(wine: Data, model: Any, problem: str) -> None:
    rows, labels = wine
    with pytest.raises(Unsupported, match=problem):
        from_sklearn.original(model.fit(rows, np.c_[labels, labels]), None, None)


def test_a_step_without_a_converter_is_named(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit(rows, labels)

    with pytest.raises(Unsupported) as caught:
        convert(model, rows)

    assert "\n" not in str(caught.value)
    assert "FunctionTransformer" in str(caught.value)


class Leaves:
    """Ends the process that reads it from a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (0,)


def test_a_pickle_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Leaves()))

    with pytest.raises(NotAModel, match=r"model\.pkl: cannot be read: SystemExit: 0$"):
        from_sklearn.load(tmp_path / "model.pkl")


def test_knows_the_names_of_the_features(wine: Data) -> None:
    rows, labels = wine
    model = LogisticRegression().fit(rows, labels)
    assert from_sklearn.columns(model) is None

    model.feature_names_in_ = np.array(["a", "b"], object)
    assert from_sklearn.columns(model) == ("a", "b")


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)

    with pytest.raises(ModuleNotFoundError):
        import skl2onnx  # noqa: F401
    with pytest.raises(Exception, match=r"'skl2onnx' is not installed; run: pip install 'snooze\[sklearn\]'"):
        from_sklearn.sklearn()

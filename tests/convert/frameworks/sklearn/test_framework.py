import sys
from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDOneClassSVM
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import KernelDensity, KNeighborsRegressor, KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, StandardScaler
from tests.convert.frameworks.sklearn.conftest import Convert
from xgboost import XGBClassifier

from snooze.bundle.adapters import text
from snooze.bundle.errors import InvalidOption, MissingExtra
from snooze.convert.errors import NotAModel, ParityRefused, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Hints
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK, import_sklearn

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]


@pytest.mark.parametrize(
    ("model", "task", "roles"),
    [
        (Ridge(), "regression", {"value": "value"}),
        (RandomForestRegressor(10), "regression", {"value": "value"}),
        (KMeans(3, n_init=1), "clustering", {"label": "label", "distances": None}),
        (IsolationForest(n_estimators=10), "outliers", {"label": "label", "score": "value"}),
        (SGDOneClassSVM(), "outliers", {"label": "label", "score": "value"}),
        (GaussianMixture(2, random_state=0), "clustering", {"label": "label", "probabilities": "scores"}),
        (PCA(2), "transform", {"embedding": "embedding"}),
        (KNeighborsTransformer(n_neighbors=3), "transform", {"embedding": "embedding"}),
        (TfidfTransformer(), "transform", {"embedding": "embedding"}),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else None,
)
def test_converts_what_does_not_classify(
    convert: Convert, wine: Data, model: Any, task: str, roles: dict[str, str | None]
) -> None:
    """The last two answer with sparse matrices."""
    rows, labels = wine

    original, conversion = convert(model.fit(rows, labels * 1.5), rows)

    assert original.task == task
    assert {one.name: one.role for one in conversion.outputs} == roles
    assert original.classes is None
    assert conversion.parity.verdict == "agrees"


def test_several_values_are_several_columns(convert: Convert, wine: Data) -> None:
    rows, labels = wine

    _, conversion = convert(RandomForestRegressor(5).fit(rows, np.c_[labels, -labels]), rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 2)]


def test_string_labels_are_byte_tensors(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = LogisticRegression().fit(rows, np.array(["rouge", "blanc", "rosé"])[labels])

    original, conversion = convert(model, rows)

    assert original.classes == ("blanc", "rosé", "rouge")
    assert conversion.outputs[0].datatype == "BYTES"
    assert conversion.parity.data.flips == 0


def test_classes_may_be_any_integers(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    original, conversion = convert(LogisticRegression().fit(rows, labels * 10 - 5), rows)

    assert original.classes == (-5, 5, 15)
    outputs = original.answer_all(conversion.expected.data.cases)
    classes = original.classify(outputs)
    assert classes is not None
    assert (outputs[0].tensors["label"] == np.array(original.classes)[classes]).all()
    assert conversion.parity.data.flips == 0


def test_categories_out_of_range_are_not_accepted(convert: Convert, wine: Data) -> None:
    """CategoricalNB fails with an IndexError for a category that it was not trained on."""
    rows, labels = wine
    categories = np.abs(rows).round().clip(0, 2)

    _, conversion = convert(CategoricalNB().fit(categories, labels), categories)

    assert conversion.parity.verdict == "agrees"
    assert "ten times as large" in conversion.parity.edges_refused


def test_neighbours_that_rounding_decides_are_refused_with_advice(convert: Convert) -> None:
    rows = np.random.default_rng(0).integers(0, 6, (300, 4)).astype(float)
    model = make_pipeline(MinMaxScaler(), KNeighborsRegressor()).fit(rows[::2], np.arange(150))

    with pytest.raises(ParityRefused) as caught:
        convert(model, rows[1::2])

    assert caught.value.remedy.startswith("rounding decides which rows are the nearest where many are equally far away")


@pytest.mark.parametrize("model", [LogisticRegression(), make_pipeline(StandardScaler(), Ridge())])
def test_an_unfitted_model_is_refused(model: Any) -> None:
    with pytest.raises(Unfitted) as caught:
        FRAMEWORK.signature(model)

    assert caught.value.model == type(model).__name__


def test_a_class_is_not_an_estimator() -> None:
    with pytest.raises(NotAModel, match="is not an estimator"):
        FRAMEWORK.signature(Ridge)


@pytest.mark.parametrize("model", [KernelDensity(), DBSCAN()], ids=lambda model: type(model).__name__)
def test_models_without_an_answer_to_serve_are_refused(wine: Data, model: Any) -> None:
    with pytest.raises(Unsupported, match="it gives no label, value or embedding for new rows"):
        FRAMEWORK.describe(model.fit(wine[0]), ())


def test_another_task_is_refused(wine: Data) -> None:
    with pytest.raises(InvalidOption, match="the LogisticRegression is trained for classification"):
        FRAMEWORK.describe(LogisticRegression().fit(*wine), (), Hints(task="regression"))


def test_returns_the_names_of_the_features(wine: Data) -> None:
    rows, labels = wine
    assert FRAMEWORK.columns(LogisticRegression().fit(rows, labels)) is None

    frame = pandas.DataFrame(rows[:, :2], columns=["a", "b"])
    assert FRAMEWORK.columns(LogisticRegression().fit(frame, labels)) == ("a", "b")


def test_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)

    with pytest.raises(MissingExtra) as caught:
        import_sklearn()

    assert (caught.value.module, caught.value.extra) == ("skl2onnx", "sklearn")


@pytest.mark.parametrize("first", [OneHotEncoder(), KBinsDiscretizer(2)])
def test_says_what_to_do_for_xgboost_behind_a_sparse_matrix(first: Any) -> None:
    """It takes the zeros of sparse matrices for missing values, which shows as another answer of the graph."""
    rows = np.array([[1.0], [2.0], [3.0]] * 9)
    model = make_pipeline(first, XGBClassifier(n_estimators=2)).fit(rows, [0, 1, 1] * 9)

    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model))

    assert "OneHotEncoder(sparse_output=False), KBinsDiscretizer(encode='onehot-dense') or" in original.remedy


def test_texts_get_their_adapter_and_are_answered_by_the_pipeline_itself() -> None:
    texts = ["a river", "the town", "rivers", "in town"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [0, 1, 0, 1])
    inputs = FRAMEWORK.signature(model)

    original = FRAMEWORK.describe(model, inputs)

    assert FRAMEWORK.adapter(model, inputs, None) == text.Declaration("text", "text")
    assert original.answer_raw is not None
    np.testing.assert_array_equal(original.answer_raw(texts)["probabilities"], model.predict_proba(texts))

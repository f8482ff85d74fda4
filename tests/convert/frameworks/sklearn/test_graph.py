import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.errors import ParityRefused, Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]
PROBABILITIES = {"label": (-1,), "probabilities": (-1, 3)}
SCORES = {"label": (-1,), "scores": (-1, 3)}


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), PROBABILITIES),
        (make_pipeline("passthrough", make_pipeline(None, StandardScaler()), LogisticRegression()), PROBABILITIES),
        (RandomForestClassifier(10, random_state=0), PROBABILITIES),
        (HistGradientBoostingClassifier(max_iter=3), PROBABILITIES),
        (GradientBoostingClassifier(n_estimators=3), PROBABILITIES),
        (make_pipeline(StandardScaler(), LinearSVC()), SCORES),
        (make_pipeline(StandardScaler(), SVC()), SCORES),
        (MLPClassifier((8,), max_iter=20, random_state=0), PROBABILITIES),
        (
            VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft"),
            PROBABILITIES,
        ),
        (VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))]), {"label": (-1,)}),
        (GridSearchCV(LogisticRegression(), {"C": [0.1]}, cv=2), PROBABILITIES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_converts_classifiers(convert: Convert, wine: Data, model: Any, outputs: dict[str, tuple[int, ...]]) -> None:
    rows, labels = wine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training stops early
        model.fit(rows, labels)

    original, conversion = convert(model, rows)

    assert (original.task, original.classes) == ("classification", (0, 1, 2))
    assert {one.name: one.shape for one in conversion.outputs} == outputs
    assert conversion.parity.data.flips == conversion.parity.data.outliers == 0
    assert conversion.parity.edges is not None
    assert conversion.parity.edges.rows >= 50


@pytest.mark.parametrize(
    "model", [SVC(), LinearSVC(), SGDClassifier(), RidgeClassifier()], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("scaled", [False, True])
def test_two_classes_have_two_scores(convert: Convert, wine: Data, model: Any, scaled: bool) -> None:
    rows, labels = wine
    fitted = (make_pipeline(StandardScaler(), model) if scaled else model).fit(rows, labels == 1)

    original, conversion = convert(fitted, rows)

    assert original.classes == (False, True)
    assert {one.name: one.shape for one in conversion.outputs} == {"label": (-1,), "scores": (-1, 2)}
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize("model", [LinearDiscriminantAnalysis(), QuadraticDiscriminantAnalysis()])
@pytest.mark.parametrize("classes", [2, 3])
def test_discriminant_analysis(convert: Convert, wine: Data, model: Any, classes: int) -> None:
    rows, labels = wine

    _, conversion = convert(make_pipeline(StandardScaler(), model).fit(rows, np.minimum(labels, classes - 1)), rows)

    assert {one.name: one.shape for one in conversion.outputs} == {"label": (-1,), "probabilities": (-1, classes)}
    assert conversion.parity.data.outliers == 0


@pytest.fixture(scope="module")
def ages() -> Data:
    """Integers with many rows on each, so that a scaler in single precision puts some on the wrong side."""
    generator = np.random.default_rng(0)
    rows = np.stack([generator.integers(0, most, 3_000) for most in (90, 20, 1_000)], axis=1).astype(np.float64)
    return rows, ((rows[:, 0] > 45) ^ (rows[:, 1] > 7) ^ (rows[:, 2] > 400)).astype(int)


def test_a_scaler_before_trees_is_converted_in_double_precision(convert: Convert, ages: Data) -> None:
    rows, labels = ages
    model = make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)).fit(
        rows[:1_500], labels[:1_500]
    )

    _, conversion = convert(model, rows)

    parity = conversion.parity
    assert parity.attempt == "double precision up to the last step"
    assert [one.attempt for one in parity.failed] == ["single precision"]
    assert "rows differ by more than the tolerance" in parity.failed[0].problem
    assert (parity.data.outliers, parity.data.flips) == (0, 0)
    assert conversion.inputs[0].datatype == "FP64"


def test_scalers_and_trees_inside_other_estimators(convert: Convert, ages: Data) -> None:
    rows, labels = ages
    steps = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0))
    model = VotingClassifier([("a", steps), ("b", LogisticRegression())], voting="soft").fit(rows[:900], labels[:900])

    _, conversion = convert(model, rows)

    assert conversion.parity.attempt == "double precision up to the last step"


def test_a_badly_scaled_column_is_converted_in_double_precision(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    rows = np.c_[rows, 1e6 + 100 * rows[:, 0]]
    model = RidgeClassifier(1e-3).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2])

    assert conversion.parity.attempt == "double precision"
    assert conversion.parity.data.worst < 1e-9


def test_only_inputs_that_are_numbers_have_two_precisions(people: Any) -> None:
    """Vectorizers and encoders give single precision, so only what follows them can calculate in another."""
    texts = make_pipeline(CountVectorizer(), LogisticRegression()).fit(people["note"], people["works"])
    categories = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(people[["grade"]], people["works"])
    numbers = make_pipeline(StandardScaler(), LogisticRegression()).fit(people[["age"]], people["works"])

    found = [
        [one.name for one in FRAMEWORK.describe(model, FRAMEWORK.signature(model)).attempts]
        for model in (texts, categories, numbers)
    ]

    assert found[0] == found[1] == ["single precision", "double precision in the last step"]
    assert [*found[0], "double precision"] == [found[2][0], found[2][-1], found[2][-2]]


def test_double_precision_in_the_last_step(people: Any) -> None:
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(people["note"], people["works"])
    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model))

    graph = original.attempts[-1].convert()

    assert "Cast" in {node.op_type for node in graph.graph.node}
    assert (
        InferenceSession(graph.SerializeToString())
        .run(["label"], {"text": np.array(people["note"], object)})[0]
        .tolist()
        == model.predict(people["note"]).tolist()
    )


def test_trees_alone_are_converted_in_single_precision(convert: Convert, ages: Data) -> None:
    rows, labels = ages

    _, conversion = convert(RandomForestClassifier(5, random_state=0).fit(rows, labels), rows)

    assert (conversion.parity.attempt, conversion.parity.failed) == ("single precision", ())
    assert conversion.inputs[0].datatype == "FP32"


def test_compares_missing_values(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    models = (
        RandomForestClassifier(10, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        LogisticRegression(),
    )

    found = [convert(model.fit(rows, labels), rows)[1].parity.missing for model in models]

    assert found == ["agrees", "agrees", "refused"]


def test_isotonic_calibration_of_trees_that_jumps_is_refused(convert: Convert, wine: Data) -> None:
    """Two of its scores are 2e-8 apart, which single precision does not tell, and their probabilities 0.4."""
    rows, labels = wine
    boosting = GradientBoostingClassifier(n_estimators=5, random_state=0)
    model = CalibratedClassifierCV(boosting, method="isotonic", cv=3).fit(rows[::2], labels[::2])

    with pytest.raises(ParityRefused) as caught:
        convert(model, rows)

    start = "converted in single precision, the CalibratedClassifierCV answers differently: "
    assert caught.value.problem.startswith(start)
    assert "rows differ by more than the tolerance" in caught.value.problem
    assert caught.value.remedy.endswith("calibrate with method='sigmoid'")


class Unknown(ClassifierMixin, BaseEstimator):
    """A classifier of a user's own."""

    def fit(self, rows: NDArray[Any], labels: NDArray[Any]) -> "Unknown":
        self.classes_, self.n_features_in_ = np.unique(labels), rows.shape[1]
        return self

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(rows), self.classes_[0])


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Unknown(), "there is no converter for it; train another kind of model"),
        (
            make_pipeline(StandardScaler(), Unknown()),
            "there is no converter for its part Unknown; train it with another estimator",
        ),
    ],
    ids=["the model", "the last step"],
)
def test_advice_for_an_estimator_without_a_converter(convert: Convert, wine: Data, model: Any, problem: str) -> None:
    rows, labels = wine

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(rows, labels), rows)

    assert (caught.value.model, caught.value.problem) == (type(model).__name__, problem)


STANDARD, RANGE = StandardScaler(), MinMaxScaler()


@pytest.mark.parametrize(
    "model",
    [
        make_column_transformer((STANDARD, [0, 1]), remainder="passthrough"),
        make_column_transformer((STANDARD, [0, 1]), remainder=RANGE),
        make_column_transformer(("drop", [0]), ("passthrough", [3, 2])),
        make_column_transformer((STANDARD, [-1, 0]), (RANGE, slice(0, 2))),
        make_column_transformer((STANDARD, [True, False, True] + 10 * [False])),
        make_column_transformer((SelectKBest(k=1), [0, 2]), (STANDARD, [1])),
        make_column_transformer(
            (make_pipeline(STANDARD, make_column_transformer((RANGE, [1]), ("passthrough", [0]))), [0, 2])
        ),
        ColumnTransformer([("a", "passthrough", [0]), ("b", RANGE, [2])], transformer_weights={"a": 3, "b": 0.5}),
        FeatureUnion([("a", "passthrough"), ("b", STANDARD), ("c", "drop")], transformer_weights={"a": 2}),
        make_union(make_union(STANDARD, RANGE), make_pipeline(STANDARD, make_union(RANGE, PCA(2)))),
        make_union(make_column_transformer((STANDARD, [0, 1])), make_column_transformer((RANGE, [2, 3]))),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("behind", [False, True], ids=["first", "behind a step"])
def test_columns_and_unions(convert: Convert, wine: Data, model: Any, behind: bool) -> None:
    rows, labels = wine
    model = make_pipeline(*([STANDARD] if behind else []), model)
    for whole in (model, make_pipeline(model, GaussianNB())):
        _, conversion = convert(whole.fit(rows[::2], labels[::2]), rows[1::2].astype(np.float32))

        assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_steps_on_some_columns_of_a_dataframe(convert: Convert, people: Any) -> None:
    numbers = make_pipeline(FunctionTransformer(np.log1p), RANGE, PolynomialFeatures())
    columns = make_column_transformer(
        (numbers, ["age", "hours per week"]),
        (make_union(RANGE, SelectKBest(k=1)), ["grade", "age"]),
        (OneHotEncoder(), ["note"]),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(people[::2], people["works"][::2])

    _, conversion = convert(model, people[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from snooze.convert.attempts import Conversion
from snooze.convert.errors import ParityRefused, Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.frameworks.sklearn.graph import attempts

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]
Convert = Callable[..., tuple[Original, Conversion]]
PROBABILITIES = {"label": (-1,), "probabilities": (-1, 3)}
SCORES = {"label": (-1,), "scores": (-1, 3)}


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


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


def test_a_classifier_that_transforms_inside_a_pipeline_is_refused(convert: Convert, wine: Data) -> None:
    model = make_pipeline(LinearDiscriminantAnalysis(), LogisticRegression()).fit(*wine)

    with pytest.raises(Unsupported, match="skl2onnx fails with InvalidInputLengthException"):
        convert(model, wine[0])


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
    assert [one.attempt for one in parity.failed] == ["single precision", "exact division in the scaler"]
    assert "rows differ by more than the tolerance" in parity.failed[0].problem
    assert (parity.data.outliers, parity.data.flips) == (0, 0)
    assert conversion.inputs[0].datatype == "FP64"


def test_neighbours_that_were_sparse(convert: Convert, wine: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = wine
    model = KNeighborsClassifier(3).fit(csr_matrix(rows), labels)

    assert convert(model, rows)[1].parity.data.flips == 0

    monkeypatch.setattr(f"{attempts.__module__}.MAX_DENSE", 1_000)
    with pytest.raises(Unsupported, match="it keeps a sparse matrix of 178 x 13"):
        convert(model, rows)


def test_scalers_and_trees_inside_other_estimators(convert: Convert, ages: Data) -> None:
    rows, labels = ages
    steps = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0))
    model = VotingClassifier([("a", steps), ("b", LogisticRegression())], voting="soft").fit(rows[:900], labels[:900])

    _, conversion = convert(model, rows)

    assert conversion.parity.attempt == "double precision up to the last step"


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

    assert found == ["differs", "agrees", "refused"]


def test_isotonic_calibration_is_refused(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), method="isotonic", cv=3).fit(rows, labels)

    with pytest.raises(ParityRefused) as caught:
        convert(model, rows)

    start = "converted in single precision, the CalibratedClassifierCV answers differently: "
    assert caught.value.problem.startswith(start)
    assert "rows differ by more than the tolerance" in caught.value.problem
    assert caught.value.remedy.endswith("calibrate with method='sigmoid'")


def test_the_voting_classifier_of_the_user_is_not_changed(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = VotingClassifier([("a", LogisticRegression())], voting="soft").fit(rows, labels)

    convert(model, rows)

    assert model.flatten_transform


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (DummyClassifier(), "skl2onnx has no converter for it; train another kind of model"),
        (
            make_pipeline(StandardScaler(), DummyClassifier()),
            "skl2onnx has no converter for its part DummyClassifier; train it with another estimator",
        ),
    ],
    ids=["the model", "the last step"],
)
def test_advice_for_an_estimator_without_a_converter(convert: Convert, wine: Data, model: Any, problem: str) -> None:
    rows, labels = wine

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(rows, labels), rows)

    assert (caught.value.model, caught.value.problem) == (type(model).__name__, problem)


def test_advice_for_a_step_that_cannot_be_converted(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit(rows, labels)

    with pytest.raises(Unsupported) as caught:
        convert(model, rows)

    assert "FunctionTransformer" in caught.value.problem
    assert "\n" not in caught.value.problem

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

MODELS = [
    GaussianNB(),
    GaussianNB(var_smoothing=1e-3),
    BernoulliNB(),
    BernoulliNB(alpha=0.1, fit_prior=False, binarize=3.0),
    MultinomialNB(),
    MultinomialNB(alpha=0.1, fit_prior=False),
    ComplementNB(),
    ComplementNB(norm=True, alpha=0.1),
]
BOTH = pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_naive_bayes(agree: Agree, load: Any, model: Any) -> None:
    rows, labels = load(return_X_y=True)
    agree(model, rows[:200], labels[:200])


@pytest.mark.parametrize("model", MODELS[3:6], ids=str)
def test_counts_of_several_classes_need_single_precision_only(agree: Agree, model: Any) -> None:
    rows, labels = load_digits(return_X_y=True)
    conversions = agree(model, rows[:400], labels[:400])

    assert {one.parity.attempt for one in conversions} == {"single precision"}


@pytest.mark.parametrize(
    "model",
    [
        GaussianNB(priors=[0.1, 0.2, 0.7]),
        MultinomialNB(class_prior=[0.1, 0.2, 0.7]),
        BernoulliNB(binarize=None),
        CategoricalNB(alpha=0.1, fit_prior=False),
        *MODELS,
    ],
    ids=str,
)
@BOTH
def test_integers(converter: Converter, framework: Framework, model: Any) -> None:
    rows, labels = load_iris(return_X_y=True)
    rows = np.round(rows) % 2 if isinstance(model, BernoulliNB) and model.binarize is None else np.round(rows)

    _, conversion = converter(framework)(model.fit(rows, labels), rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@BOTH
def test_categories_of_each_column(converter: Converter, framework: Framework) -> None:
    """Columns have different numbers of categories, and numbers are truncated."""
    rows, labels = load_wine(return_X_y=True)
    rows = np.floor(rows[:, :6] - rows[:, :6].min(0)) + 0.9
    model = CategoricalNB(min_categories=[40] * 4 + [200] * 2).fit(rows[::2], labels[::2])

    _, conversion = converter(framework)(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert "ten times as large" in conversion.parity.edges_refused


@BOTH
def test_unknown_categories_have_no_probabilities(converter: Converter, framework: Framework) -> None:
    rows, labels = np.array([[0, 2], [1, 0], [1, 1]]), [0, 1, 1]
    _, conversion = converter(framework)(CategoricalNB().fit(rows, labels), rows.astype(np.float32))

    unknown = np.array([[0, 3], [2, 0], [-1, 0], [9999, 0], [0, -9999], [1, 2]], np.float32)
    found = Runner(conversion.file).run({"features": unknown.astype(conversion_dtype(conversion))})

    assert np.isnan(found["probabilities"]).all(1).tolist() == [True] * 5 + [False]


def conversion_dtype(conversion: Conversion) -> Any:
    return np.float64 if conversion.inputs[0].datatype == "FP64" else np.float32


@BOTH
def test_categories_behind_a_step(converter: Converter, framework: Framework) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = make_pipeline(Binarizer(threshold=1.5), CategoricalNB(min_categories=2)).fit(rows[::2], labels[::2])

    _, conversion = converter(framework)(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("model", [*MODELS[:-1], CategoricalNB()], ids=str)
def test_one_class_and_one_column(converter: Converter, model: Any) -> None:
    rows = np.array([[1.0], [2.0], [0.0]])

    _, conversion = converter(FRAMEWORK)(model.fit(rows, ["only"] * 3), rows[1:].astype(np.float32))

    assert conversion.parity.data.worst == 0

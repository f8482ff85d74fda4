from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize("strategy", ["prior", "most_frequent"])
def test_classifier(agree: Agree, strategy: str) -> None:
    agree(DummyClassifier(strategy=strategy), *IRIS)


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
@pytest.mark.parametrize(
    "settings", [{"strategy": "prior"}, {"strategy": "most_frequent"}, {"strategy": "constant"}], ids=str
)
def test_classifier_of_several_targets(convert: Convert, settings: dict[str, Any], texts: bool) -> None:
    rows, labels = IRIS
    targets = np.c_[labels, rows[:, 0] > 5].astype(str if texts else int)
    constant = {"constant": targets[-1]} if settings["strategy"] == "constant" else {}

    _, conversion = convert(DummyClassifier(**settings, **constant).fit(rows[40:], targets[40:]), rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 2), (-1, 3), (-1, 2)]
    assert (conversion.parity.data.worst < 1e-7, conversion.parity.data.flips) == (True, 0)


def test_classifier_of_a_constant_text(convert: Convert) -> None:
    rows, labels = IRIS
    model = DummyClassifier(strategy="constant", constant="1").fit(rows, labels.astype(str))

    assert convert(model, rows)[1].parity.data.flips == 0


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_labels_that_are_drawn_are_refused(strategy: str) -> None:
    model = DummyClassifier(strategy=strategy).fit(*IRIS)

    with pytest.raises(Unsupported, match="it draws its labels at random") as caught:
        FRAMEWORK.describe(model, FRAMEWORK.signature(model)).attempts[0].convert()

    assert caught.value.model == "DummyClassifier"


@pytest.mark.parametrize(
    "settings",
    [{}, {"strategy": "median"}, {"strategy": "quantile", "quantile": 0.3}, {"strategy": "constant", "constant": 2.5}],
    ids=str,
)
def test_regressor(agree: Agree, settings: dict[str, Any]) -> None:
    agree(DummyRegressor(**settings), *load_diabetes(return_X_y=True))


def test_regressor_of_several_targets(convert: Convert) -> None:
    rows, values = load_diabetes(return_X_y=True)
    model = DummyRegressor(strategy="constant", constant=[1.5, -2]).fit(rows, np.c_[values, values])

    _, conversion = convert(model, rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 2)]
    assert conversion.parity.data.worst == 0


def test_missing_values_are_answered_as_any_row(convert: Convert) -> None:
    rows, labels = IRIS

    _, conversion = convert(DummyClassifier().fit(rows, labels), rows)

    assert conversion.parity.missing == "agrees"

import sys
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from snooze.bundle.errors import MissingExtra
from snooze.convert.attempts import Conversion
from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.boosting.ensemble import Ensemble, Objective
from snooze.convert.frameworks.boosting.framework import Parts, explain, find_classes
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.registry import find
from snooze.convert.quiet import quiet
from snooze.convert.source import read_model

pytestmark = pytest.mark.framework
Data = tuple[Array, Array]
Convert = Callable[..., tuple[Original, Conversion]]
TWO = Ensemble((), 1, 1, (0.0,), True, Objective("sigmoid", "classification"))


@pytest.fixture(params=["lightgbm", "xgboost"])
def model(request: pytest.FixtureRequest, cancer: Data) -> Any:
    with quiet():
        if request.param == "lightgbm":
            return lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(*cancer)
        return xgboost.XGBClassifier(n_estimators=5).fit(*cancer)


def test_its_estimators_are_not_taken_for_those_of_scikit_learn(model: Any) -> None:
    assert read_model(model).framework.name == type(model).__module__.partition(".")[0]


@pytest.mark.parametrize("given", [True, False], ids=["rows", "drawn rows"])
def test_converts(converter: Callable[[Framework], Convert], model: Any, cancer: Data, given: bool) -> None:
    original, conversion = converter(read_model(model).framework)(model, cancer[0] if given else None)

    assert (conversion.parity.verdict, conversion.parity.missing) == ("agrees", "agrees")
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert [(one.name, one.shape) for one in conversion.outputs] == [("label", (-1,)), ("probabilities", (-1, 2))]
    assert original.classify(conversion.expected.outputs) is not None


def test_double_precision_where_rows_need_it(converter: Callable[[Framework], Convert]) -> None:
    """Neighbours in double precision, which LightGBM tells apart, are the same number in single precision."""
    rows = 1 + np.arange(40.0)[:, None] * 1e-9
    with quiet():
        model = lightgbm.train(
            {"verbose": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1},
            lightgbm.Dataset(rows, rows[:, 0] > rows[20]),
            9,
        )

    _, conversion = converter(find("lightgbm"))(model, rows)

    assert conversion.parity.attempt == "double precision"
    assert conversion.inputs[0].datatype == "FP64"


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        (None, [0, 1]),
        (np.array([False, True]), [0, 1]),
        (np.array([1.0, 3.0]), [1, 3]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], object), ["a", "b"]),
    ],
)
def test_classes_are_integers_or_texts(given: Array | None, classes: list[object]) -> None:
    found = find_classes(Parts(None, classes=given), TWO, "Model")

    assert found is not None
    assert found.tolist() == classes
    assert found.dtype in (np.int64, object)


def test_classes_that_are_fractions_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"its classes are fractions such as 0\.5; number them, or name them"):
        find_classes(Parts(None, classes=np.array([0.5, 1])), TWO, "Model")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("[10:20:30] /workspace/src/common/json.cc:409: Expecting: x\n more", "Expecting: x"),
        ("[10:20:30] /a.cc:1: Check failed: beg <= size (2 vs. 1) : \nStack trace", "beg <= size (2 vs. 1)"),
        ("Model file is damaged.", "Model file is damaged"),
    ],
)
def test_explains_without_the_place_in_the_code(message: str, problem: str) -> None:
    assert explain(ValueError(message)) == problem


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    framework = find(name)
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingExtra) as caught:
        framework.signature(object(), None)

    assert (caught.value.module, caught.value.extra) == (name, "boost")


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_nothing_is_registered_for_a_library_that_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("snooze.convert.frameworks.boosting.framework.register", pytest.fail)

    find(name).register_converters()

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, QuantileTransformer
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework
Convert = Callable[..., tuple[Original, Conversion]]
IRIS, WINE = load_iris().data, load_wine().data


@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("rows", [IRIS, WINE], ids=["iris", "wine"])
def test_quantiles(agree: Agree, normal: bool, rows: np.ndarray[Any, Any]) -> None:
    agree(QuantileTransformer(n_quantiles=30, output_distribution="normal" if normal else "uniform"), rows)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_missing_values_and_constant_columns_have_quantiles(
    converter: Callable[[Framework], Convert], distribution: str
) -> None:
    rows = np.column_stack([IRIS, np.full(len(IRIS), 7.0)])
    rows[1::3, 0] = np.nan
    model = QuantileTransformer(n_quantiles=9, output_distribution=distribution).fit(rows)
    _, conversion = converter(FRAMEWORK)(model, rows)
    assert conversion.parity.data.worst < 1e-6
    assert conversion.parity.missing == "agrees"


@pytest.mark.parametrize("settings", [{}, {"standardize": False}], ids=str)
@pytest.mark.parametrize("rows", [IRIS, WINE - 2], ids=["iris", "wine"])
def test_powers(agree: Agree, settings: dict[str, Any], rows: np.ndarray[Any, Any]) -> None:
    agree(PowerTransformer(**settings), rows)


def test_box_cox(converter: Callable[[Framework], Convert]) -> None:
    rows = load_breast_cancer().data[:, :4]
    model = PowerTransformer(method="box-cox").fit(rows[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.attempt == "single precision"
    assert conversion.parity.data.worst < 1e-5


@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_exponents_that_are_logarithms(converter: Callable[[Framework], Convert], exponent: float) -> None:
    model = PowerTransformer().fit(WINE - 2)
    model.lambdas_[:3] = exponent
    _, conversion = converter(FRAMEWORK)(model, WINE - 2)
    assert conversion.parity.data.outliers == 0


def test_powers_in_front_of_a_classifier(agree: Agree) -> None:
    found = agree(make_pipeline(PowerTransformer(), LogisticRegression()), *load_iris(return_X_y=True))
    assert {one.parity.attempt for one in found} == {"single precision"}

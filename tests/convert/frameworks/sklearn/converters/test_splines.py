from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework
Convert = Callable[..., tuple[Original, Conversion]]
IRIS, WINE = load_iris().data, load_wine().data


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("extrapolation", ["linear", "continue", "periodic"])
def test_extrapolation(agree: Agree, degree: int, extrapolation: str) -> None:
    agree(SplineTransformer(degree=degree, extrapolation=extrapolation), IRIS)


@pytest.mark.parametrize(
    "settings",
    [
        {"include_bias": False},
        {"knots": "quantile", "sparse_output": True},
        {"knots": np.linspace(0, 4, 5)[:, None] ** 2 + np.arange(13)},
        {"degree": 2, "n_knots": 20, "handle_missing": "zeros"},
    ],
    ids=["no bias", "quantiles", "given knots", "many knots"],
)
def test_constant_extrapolation(agree: Agree, settings: dict[str, Any]) -> None:
    agree(SplineTransformer(**settings), WINE)


@pytest.mark.parametrize("extrapolation", ["constant", "error", "periodic"])
def test_missing_values_and_constant_columns(converter: Callable[[Framework], Convert], extrapolation: str) -> None:
    rows = np.column_stack([IRIS, np.full(len(IRIS), 7.0)])
    rows[1::3, 0] = np.nan
    model = SplineTransformer(extrapolation=extrapolation, handle_missing="zeros").fit(rows)
    _, conversion = converter(FRAMEWORK)(model, rows)
    assert conversion.parity.data.worst < 1e-6
    assert conversion.parity.missing == "agrees"


def test_numbers_that_are_refused_have_no_splines(converter: Callable[[Framework], Convert]) -> None:
    model = SplineTransformer(extrapolation="error").fit(IRIS)
    _, conversion = converter(FRAMEWORK)(model, IRIS)
    rows = IRIS[:2] * [[1], [100]]
    found = Runner(conversion.file).run({"features": rows})["embedding"]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_splines_in_front_of_a_regression(agree: Agree) -> None:
    rows, values = load_diabetes(return_X_y=True)
    agree(make_pipeline(SplineTransformer(n_knots=4), Ridge()), rows[:120], values[:120])


def test_overlapping_ends_are_refused(converter: Callable[[Framework], Convert]) -> None:
    model = SplineTransformer(n_knots=2, degree=1, extrapolation="linear").fit(IRIS)
    with pytest.raises(Unsupported) as caught:
        converter(FRAMEWORK)(model, IRIS[:, :1].repeat(4, axis=1))
    assert caught.value.problem.startswith("with 2 knots and degree=1")

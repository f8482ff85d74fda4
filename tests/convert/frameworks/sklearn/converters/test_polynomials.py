from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

SETTINGS = [
    {},
    {"degree": 3, "order": "F"},
    {"degree": (2, 3), "include_bias": False},
    {"degree": (2, 3), "interaction_only": True},
    {"interaction_only": True},
    {"degree": 0},
    {"degree": 1, "include_bias": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_polynomial_features(agree: Agree, settings: dict[str, Any]) -> None:
    conversions = agree(PolynomialFeatures(**settings), load_iris().data)

    assert {one.parity.attempt for one in conversions} == {"single precision"}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_double_precision(converter: Converter, settings: dict[str, Any]) -> None:
    rows = load_iris().data
    model = PolynomialFeatures(**settings).fit(rows[::2])

    _, conversion = converter(DoublePrecision())(model, rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0
    assert conversion.outputs[0].shape == (-1, model.n_output_features_)


def test_few_nodes(agree: Agree) -> None:
    assert len(agree(PolynomialFeatures(3), load_iris().data)[0].graph.graph.node) < 10


def test_in_front_of_a_regressor(agree: Agree) -> None:
    agree(make_pipeline(PolynomialFeatures(include_bias=False), Ridge()), *load_diabetes(return_X_y=True))

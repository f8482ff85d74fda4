from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision, with_awkward_scales

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

SCALERS = [
    MinMaxScaler(feature_range=(-3, 5)),
    MinMaxScaler(clip=True),
    MaxAbsScaler(clip=True),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    RobustScaler(unit_variance=True),
    RobustScaler(with_centering=False, quantile_range=(5, 80)),
    RobustScaler(with_scaling=False),
    Normalizer("l1"),
    Normalizer("l2"),
    Normalizer("max"),
    Binarizer(threshold=3.0),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_scalers(agree: Agree, load: Any, scaler: Any) -> None:
    conversions = agree(scaler, load().data)

    assert {one.parity.attempt for one in conversions} == {"single precision"}


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_double_precision(converter: Converter, scaler: Any) -> None:
    rows = load_iris().data

    _, conversion = converter(DoublePrecision())(scaler.fit(rows[::2]), rows[1::2].astype(np.float32))

    assert conversion.parity.data.worst < 1e-4


def test_far_from_zero(converter: Converter) -> None:
    rows = with_awkward_scales(load_wine().data) + 1e6

    _, conversion = converter(FRAMEWORK)(MinMaxScaler().fit(rows[::2]), rows[1::2].astype(np.float32))

    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize("scaler", [Normalizer("l1"), Normalizer(), Normalizer("max")], ids=str)
def test_normalizer_keeps_rows_of_almost_zero(converter: Converter, scaler: Any) -> None:
    rows = np.array([[0, 0], [3, -4], [1e-9, 1e-8]], np.float32)

    _, conversion = converter(FRAMEWORK)(scaler.fit(rows), rows)

    assert conversion.parity.data.worst < 1e-6


def test_in_front_of_estimators(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(make_pipeline(Normalizer("max"), LogisticRegression()), rows, labels)
    agree(make_pipeline(MinMaxScaler(clip=True), RandomForestClassifier(5, random_state=0)), rows, labels)
    agree(make_pipeline(MaxAbsScaler(clip=True), GaussianNB()), rows, labels)


@pytest.mark.parametrize("scaler", [MinMaxScaler(), MaxAbsScaler(), RobustScaler(), StandardScaler()], ids=str)
def test_one_column_one_row_and_no_variance(converter: Converter, scaler: Any) -> None:
    _, conversion = converter(FRAMEWORK)(scaler.fit(np.full((5, 1), 7.0)), np.array([[7.5], [7.0]], np.float32))

    assert conversion.parity.data.outliers == 0

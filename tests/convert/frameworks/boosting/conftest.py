"""Strict comparison of a converted booster with the original, on rows that are hard for conversions."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.boosting.ensemble import Ensemble, Split
from snooze.convert.frameworks.boosting.framework import Boosting
from snooze.convert.frameworks.boosting.lightgbm import FRAMEWORK as LIGHTGBM
from snooze.convert.frameworks.boosting.xgboost import FRAMEWORK as XGBOOST
from snooze.convert.frameworks.interface import NO_HINTS, Original

Agree = Callable[..., Original]
Data = tuple[Array, Array]


def load(function: Callable[..., Any]) -> Data:
    rows, labels = function(return_X_y=True)
    return rows[::2], labels[::2]


@pytest.fixture(scope="session")
def cancer() -> Data:
    return load(load_breast_cancer)


@pytest.fixture(scope="session")
def wine() -> Data:
    return load(load_wine)


@pytest.fixture(scope="session")
def diabetes() -> Data:
    return load(load_diabetes)


@pytest.fixture(scope="session")
def coded() -> Data:
    """Rows of 40 and 5 categories and a number, some of them missing."""
    random = np.random.default_rng(0)
    codes = random.integers(0, [40, 5], (900, 2))
    values = random.normal(size=900)
    rows = np.c_[codes, values]
    target = np.sin(codes[:, 0] * 7.0) + np.cos(codes[:, 1] * 3.0) + values / 3
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows, target


@pytest.fixture
def agree() -> Agree:
    """Return the original of a model, after comparing every graph of it with the original and with `expected`."""

    def agree(model: Any, rows: Array, expected: Callable[[Array], dict[str, Any]] | None = None) -> Original:
        framework: Boosting = LIGHTGBM if LIGHTGBM.recognizes(model) else XGBOOST
        original = framework.describe(model, framework.signature(model), NO_HINTS)
        cases = list(hard_rows(framework.open(model).ensemble, rows.astype(np.float32)))
        for attempt in original.attempts:
            kind = np.float64 if attempt.name == "double precision" else np.float32
            session = onnxruntime.InferenceSession(attempt.convert().SerializeToString())
            for case in cases:
                want = original.run({"features": case.astype(kind)})
                got = dict(zip(original.roles, session.run(None, {"features": case.astype(kind)}), strict=True))
                equal(got, want)
                if expected is not None:
                    equal({name: np.asarray(one) for name, one in expected(case).items()}, want)
        return original

    return agree


def equal(got: dict[str, Array], want: dict[str, Array]) -> None:
    assert list(got) == list(want)
    for name, array in want.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(got[name].reshape(array.shape), array, rtol=5e-5, atol=2e-6, err_msg=name)
        else:
            assert (got[name] == array).all()


def hard_rows(ensemble: Ensemble, rows: Array) -> Iterator[Array]:
    """Yield the rows, with NaN, infinities, zeros, fractions and large numbers, and on and beside each bound."""
    random = np.random.default_rng(0)
    yield rows
    yield rows + random.random(rows.shape).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf, 0, -0.5, 1e-36, 3e9, -1):
        yield np.where(random.random(rows.shape) < 0.3, np.float32(value), rows)
    splits = [one for tree in ensemble.trees for one in tree if isinstance(one, Split)]
    on = [(one.feature, bound) for one in splits for bound in one.bounds][:500]
    if on:
        beside = rows[np.arange(len(on)) % len(rows)].copy()
        for row, (feature, bound) in zip(beside, on, strict=True):
            row[feature] = bound
        yield from (beside, np.nextafter(beside, np.float32(-np.inf)), np.nextafter(beside, np.float32(np.inf)))

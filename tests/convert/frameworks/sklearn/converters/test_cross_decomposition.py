from typing import Any

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("estimator", [PLSRegression, PLSCanonical, CCA, PLSSVD])
def test_several_targets(agree: Agree, estimator: Any, scale: bool) -> None:
    rows, target = load_diabetes(return_X_y=True)

    agree(estimator(2, scale=scale), rows, np.column_stack([target, rows[:, 2] - target / 1000]))
    agree(estimator(2, scale=scale), *load_linnerud(return_X_y=True))


@pytest.mark.parametrize("estimator", [PLSRegression, PLSCanonical, CCA, PLSSVD])
def test_one_target(agree: Agree, estimator: Any) -> None:
    rows, target = load_diabetes(return_X_y=True)

    agree(estimator(1), rows, target)
    agree(estimator(1), rows[:, 2:3], target)


def test_column_that_never_changes(agree: Agree) -> None:
    rows, target = load_diabetes(return_X_y=True)

    agree(PLSRegression(2), np.column_stack([rows, np.ones(len(rows))]), target)


@pytest.mark.parametrize("estimator", [PLSRegression(2), PLSCanonical(2, scale=False), CCA(1), PLSSVD(2)], ids=str)
def test_in_front_of_a_regressor(agree: Agree, estimator: Any) -> None:
    rows, targets = load_linnerud(return_X_y=True)  # only a fitted one can be there: it also transforms the targets

    agree(make_pipeline(FrozenEstimator(estimator.fit(rows, targets)), Ridge()), rows, targets)

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)
from tests.convert.frameworks.sklearn.converters.test_support_vectors import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

PAIRWISE = [
    PairwiseKernel(metric="linear"),
    PairwiseKernel(0.5, metric="poly", pairwise_kernels_kwargs={"degree": 2, "coef0": 0.5}),
    PairwiseKernel(0.01, metric="sigmoid"),
    PairwiseKernel(metric="rbf"),
    PairwiseKernel(metric="laplacian"),
    PairwiseKernel(metric="cosine"),
]
KERNELS = [
    RBF(0.3),
    RBF([0.1, 0.2, 0.3, 0.4]),
    Matern(0.5, nu=0.5),
    Matern([0.1, 0.2, 0.3, 0.4], nu=1.5),
    Matern(nu=2.5),
    Matern(nu=np.inf),
    RationalQuadratic(0.3, 0.5),
    ExpSineSquared(1.0, 30.0),
    DotProduct(0.5),
    DotProduct() ** 2,
    RBF() ** 0.5 * DotProduct() + ConstantKernel(2.0),
    (ConstantKernel(2.0) + WhiteKernel(0.5)) * Matern(),
    *PAIRWISE,
]


class Strange(RBF):
    """A kernel that is not of scikit-learn."""


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_of_rows_and_those_trained_on(converter: Convert, kernel: Any) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    rows, targets = 10 * rows[:80, :4], targets[:80]
    model = GaussianProcessRegressor(kernel + WhiteKernel(0.1), optimizer=None).fit(rows[::2], targets[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("kernel", [DotProduct() ** 2, ConstantKernel(3.0) * RBF() + WhiteKernel(), *PAIRWISE], ids=str)
def test_of_a_row_with_itself(converter: Convert, kernel: Any) -> None:
    rows, labels = load_iris(return_X_y=True)
    rows, labels = rows[50:], labels[50:]
    model = GaussianProcessClassifier(kernel, optimizer=None).fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


def test_that_is_a_constant(converter: Convert) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    model = GaussianProcessRegressor(ConstantKernel() * ConstantKernel(), optimizer=None, alpha=1.0)
    model.fit(rows[::2], targets[::2])
    model.n_features_in_ = 10  # unknown, as such a kernel takes rows of any length
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [(Matern(nu=0.7), "nu=0.7 needs a Bessel function"), (2.0 * Strange(), "a graph has no formula of this kernel")],
    ids=str,
)
def test_without_a_formula(converter: Convert, kernel: Any, reason: str) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    model = GaussianProcessRegressor(kernel, optimizer=None).fit(rows[:20], targets[:20])
    with pytest.raises(Unsupported, match=reason):
        converter(FRAMEWORK)(model, rows[20:])

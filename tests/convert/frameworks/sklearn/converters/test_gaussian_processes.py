from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.convert.frameworks.sklearn.converters.conftest import Agree
from tests.convert.frameworks.sklearn.converters.test_support_vectors import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework


@pytest.mark.parametrize("normalize", [False, True])
def test_values(agree: Agree, normalize: bool) -> None:
    process = GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None, normalize_y=normalize)
    rows, targets = load_diabetes(return_X_y=True)
    agree(process, rows[:80], targets[:80])


def test_values_of_a_kernel_to_which_rows_are_almost_equal(converter: Convert) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    model = GaussianProcessRegressor(optimizer=None).fit(rows[:80:2], targets[:80:2])
    _, conversion = converter(FRAMEWORK)(model, rows[1:80:2])
    assert conversion.parity.attempt == "double precision"


def test_several_targets(agree: Agree) -> None:
    rows = load_iris().data
    found = agree(GaussianProcessRegressor(RBF() + WhiteKernel(), normalize_y=True), rows[:, :2], rows[:, 2:])
    assert found[0].outputs[0].shape == (-1, 2)


@pytest.mark.parametrize("kernel", [None, Matern(nu=1.5), 2.0 * RBF([1, 2, 3, 4]) ** 2], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes(agree: Agree, kernel: Any, classes: int) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(GaussianProcessClassifier(kernel, optimizer=None), rows[labels < classes], labels[labels < classes])


@pytest.mark.parametrize("kernel", [DotProduct(), RBF() + WhiteKernel(0.1)], ids=str)
def test_a_classifier_that_has_learned_its_kernel(converter: Convert, kernel: Any) -> None:
    rows, labels = load_wine(return_X_y=True)
    with quiet():  # the best kernel is at its bounds
        model = make_pipeline(StandardScaler(), GaussianProcessClassifier(kernel)).fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


def test_a_classifier_for_each_pair_of_classes_has_no_probabilities(agree: Agree) -> None:
    found = agree(GaussianProcessClassifier(multi_class="one_vs_one", optimizer=None), *load_iris(return_X_y=True))
    assert [[one.name for one in conversion.outputs] for conversion in found] == [["label"]] * 4


def test_a_process_that_is_not_fitted(converter: Convert) -> None:
    with pytest.raises(Unsupported, match="it is not fitted, so it answers 0 and does not know its columns"):
        converter(FRAMEWORK)(GaussianProcessRegressor(), np.zeros((2, 2)))

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Convert = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]
KERNELS: list[dict[str, Any]] = [
    {"gamma": "auto"},
    {"kernel": "linear"},
    {"kernel": "poly", "degree": 2, "coef0": 1, "gamma": 0.02},
    {"kernel": "sigmoid"},
]


@pytest.mark.parametrize(
    "settings",
    [{}, *KERNELS, {"decision_function_shape": "ovo"}, {"break_ties": True}, {"probability": True, "random_state": 1}],
    ids=str,
)
def test_several_classes(agree: Agree, settings: dict[str, Any]) -> None:
    agree(SVC(max_iter=9999, **settings), *load_iris(return_X_y=True))


@pytest.mark.parametrize("settings", [{}, {"kernel": "sigmoid"}, {"probability": True, "random_state": 1}], ids=str)
def test_two_classes(agree: Agree, settings: dict[str, Any]) -> None:
    rows, classes = load_iris(return_X_y=True)
    agree(SVC(**settings), rows[:100], classes[:100])


@pytest.mark.parametrize("settings", [{}, {"kernel": "poly"}, {"probability": True, "random_state": 1}], ids=str)
def test_nu(agree: Agree, settings: dict[str, Any]) -> None:
    agree(NuSVC(nu=0.2, **settings), *load_iris(return_X_y=True))


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_nu_on_columns_of_different_scales(converter: Convert, load: Callable[..., Any]) -> None:
    rows, classes = load(return_X_y=True)
    _, conversion = converter(FRAMEWORK)(NuSVC().fit(rows[::2], classes[::2]), rows[1::2])
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize("kind", [SVR, NuSVR])
@pytest.mark.parametrize("settings", [{}, {"kernel": "linear"}, {"kernel": "poly"}, {"kernel": "sigmoid"}], ids=str)
def test_values(agree: Agree, kind: type[Any], settings: dict[str, Any]) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    agree(kind(max_iter=9999, **settings), rows[:100], targets[:100])


@pytest.mark.parametrize("settings", [{}, *KERNELS], ids=str)
def test_outliers(agree: Agree, settings: dict[str, Any]) -> None:
    agree(OneClassSVM(nu=0.1, max_iter=9999, **settings), load_iris().data)


def test_a_kernel_that_the_rows_contain(converter: Convert) -> None:
    rows, classes = load_iris(return_X_y=True)
    model = SVC(kernel="precomputed").fit(rbf_kernel(rows[::2], gamma=0.1), classes[::2])
    original, conversion = converter(FRAMEWORK)(model, rbf_kernel(rows[1::2], rows[::2], gamma=0.1))
    assert original.inputs[0].tensor.shape == (-1, 75)
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("settings", [{}, {"kernel": "linear"}, {"decision_function_shape": "ovo"}], ids=str)
@pytest.mark.parametrize("classes", [9, 12])
def test_many_classes(converter: Convert, settings: dict[str, Any], classes: int) -> None:
    rows, values = load_diabetes(return_X_y=True)
    labels = np.digitize(values, np.quantile(values, np.linspace(0, 1, classes + 1)[1:-1]))
    model = SVC(**settings).fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_scores_of_pairs_are_not_those_of_classes(converter: Convert) -> None:
    rows, labels = load_digits(n_class=4, return_X_y=True)
    model = SVC(decision_function_shape="ovo").fit(rows[:100], labels[:100])
    original, conversion = converter(FRAMEWORK)(model, rows[100:])
    assert original.roles == {"label": "label", "scores": None}
    assert [one.shape for one in conversion.outputs] == [(-1,), (-1, 6)]


@pytest.mark.parametrize("settings", [{"gamma": 1e-3}, {"kernel": "linear"}], ids=str)
def test_a_sparse_matrix_of_rows(converter: Convert, settings: dict[str, Any]) -> None:
    rows, classes = load_digits(return_X_y=True)
    model = SVC(**settings).fit(csr_matrix(rows[:200]), classes[:200])
    _, conversion = converter(FRAMEWORK)(model, rows[200:400])
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize("classes", [2, 3])
def test_others_read_the_decision_function_of_one_with_probabilities(converter: Convert, classes: int) -> None:
    rows, labels = load_iris(return_X_y=True)
    rows, labels = rows[labels < classes], labels[labels < classes]
    model = CalibratedClassifierCV(SVC(probability=True, random_state=1), cv=2)
    with quiet():
        model.fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


def test_a_function_as_kernel(converter: Convert) -> None:
    rows, classes = load_iris(return_X_y=True)
    with pytest.raises(Unsupported, match="cannot call the function that is its kernel; send its values"):
        converter(FRAMEWORK)(SVC(kernel=lambda a, b: np.dot(a, b.T)).fit(rows, classes), rows)

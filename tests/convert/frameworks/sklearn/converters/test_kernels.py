from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS, rbf_kernel
from tests.convert.frameworks.sklearn.converters.conftest import DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]


@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
@pytest.mark.parametrize("name", sorted(PAIRWISE_KERNEL_FUNCTIONS))
def test_every_kernel_of_scikit_learn(converter: Converter, framework: Framework, name: str) -> None:
    rows, targets = load_iris(return_X_y=True)
    with_zeros = np.concatenate([rows[1::2], np.zeros((1, 4))])
    model = KernelRidge(kernel=name, gamma=0.1, degree=2, coef0=0.5, alpha=1e4).fit(rows[::2], targets[::2])

    _, conversion = converter(framework)(model, with_zeros.astype(np.float32))

    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("name", ["poly", "rbf", "sigmoid", "laplacian"])
def test_default_parameters(converter: Converter, name: str) -> None:
    rows, targets = load_iris(return_X_y=True)
    model = KernelRidge(kernel=name).fit(rows[::2] / 10, targets[::2])

    _, conversion = converter(FRAMEWORK)(model, (rows[1::2] / 10).astype(np.float32))

    assert conversion.parity.data.outliers == 0


def test_a_function_is_refused(converter: Converter) -> None:
    rows, targets = load_iris(return_X_y=True)

    with pytest.raises(Unsupported) as caught:
        converter(FRAMEWORK)(KernelRidge(kernel=rbf_kernel_of_two).fit(rows, targets), rows)

    assert caught.value.model == "KernelRidge"
    assert caught.value.problem == (
        "its kernel is the function 'rbf_kernel_of_two', which a graph cannot run; use the name of a kernel, linear, "
        "poly, rbf, sigmoid, laplacian, cosine, chi2 or additive_chi2; or kernel='precomputed', and send values of the "
        "kernel as rows"
    )


def rbf_kernel_of_two(one: Any, other: Any) -> Any:
    return np.exp(-((one - other) ** 2).sum())


def test_values_of_a_kernel_as_rows(converter: Converter) -> None:
    rows, targets = load_iris(return_X_y=True)
    model = KernelRidge(kernel="precomputed").fit(rbf_kernel(rows[::2]), targets[::2])

    _, conversion = converter(FRAMEWORK)(model, rbf_kernel(rows[1::2], rows[::2]).astype(np.float32))

    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_kept_rows_of_other_types(converter: Converter, dtype: Any) -> None:
    rows, targets = np.round(load_iris().data).astype(dtype), load_iris().target
    for name in ("cosine", "rbf", "laplacian"):
        model = KernelRidge(kernel=name).fit(rows[::2], targets[::2])

        _, conversion = converter(FRAMEWORK)(model, rows[1::2].astype(np.float32))

        assert conversion.parity.data.outliers == 0

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KernelCenterer, StandardScaler
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision, with_awkward_scales

from snooze.convert.attempts import Conversion
from snooze.convert.errors import ParityRefused, Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]


@pytest.mark.parametrize(
    "settings",
    [{"kernel": "rbf"}, {"kernel": "rbf", "gamma": 1e-9}, {"kernel": "laplacian"}, {"kernel": "cosine"}],
    ids=str,
)
@pytest.mark.parametrize("load", [load_diabetes, load_wine])
def test_kernel_ridge(agree: Agree, load: Any, settings: dict[str, Any]) -> None:
    rows, targets = load(return_X_y=True)
    agree(KernelRidge(**settings), rows, targets.astype(float))


def test_kernel_ridge_of_several_targets(agree: Agree) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    conversions = agree(KernelRidge(kernel="rbf"), rows, np.stack([targets, rows[:, 0]], 1))
    assert conversions[0].outputs[0].shape == (-1, 2)


@pytest.mark.parametrize(
    ("settings", "load"),
    [
        ({}, load_wine),
        ({}, load_iris),
        ({"remove_zero_eig": True, "n_components": None}, load_iris),
        ({"kernel": "poly", "degree": 2}, load_iris),
        ({"kernel": "cosine"}, load_wine),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_kernel_pca(agree: Agree, load: Any, settings: dict[str, Any]) -> None:
    agree(KernelPCA(**{"n_components": 3, **settings}), load().data)


def test_linear_kernel_pca_needs_single_precision_only(agree: Agree) -> None:
    """The mean of unscaled columns is subtracted before anything is multiplied."""
    conversions = agree(KernelPCA(3), load_wine().data)

    assert {one.parity.attempt for one in conversions} == {"single precision"}
    assert len(conversions[0].graph.graph.node) < 6


@pytest.mark.parametrize("settings", [{"kernel": "rbf"}, {"kernel": "sigmoid", "coef0": -1}, {"kernel": "poly"}])
@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
def test_kernel_pca_of_awkward_scales(converter: Converter, framework: Framework, settings: dict[str, Any]) -> None:
    rows = with_awkward_scales(load_wine().data)
    model = KernelPCA(3, gamma=0.1 / rows.var(), **settings).fit(rows[::2])

    _, conversion = converter(framework)(model, rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    "model", [KernelPCA(2, kernel="precomputed"), make_pipeline(KernelCenterer(), Ridge())], ids=["pca", "centerer"]
)
def test_values_of_a_kernel(converter: Converter, model: Any) -> None:
    rows, targets = load_iris(return_X_y=True)
    model.fit(rbf_kernel(rows[:60]), targets[:60])

    _, conversion = converter(FRAMEWORK)(model, rbf_kernel(rows[60:], rows[:60]).astype(np.float32))

    assert conversion.parity.data.outliers == 0


def test_kernel_centerer(agree: Agree) -> None:
    rows = load_iris().data
    agree(KernelCenterer(), rbf_kernel(rows, rows[::2]))


@pytest.mark.parametrize(
    ("settings", "load"),
    [
        ({}, load_wine),
        ({}, load_iris),
        ({"kernel": "poly"}, load_iris),
        ({"kernel": "poly", "degree": 2, "coef0": 0.5, "gamma": 0.1}, load_iris),
        ({"kernel": "linear"}, load_wine),
        ({"kernel": "sigmoid", "gamma": 1e-13}, load_wine),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_nystroem(agree: Agree, load: Any, settings: dict[str, Any]) -> None:
    agree(Nystroem(n_components=10, random_state=0, **settings), load().data + 1)


@pytest.mark.parametrize(
    "settings", [{"kernel": "chi2"}, {"kernel": "chi2", "kernel_params": {"gamma": 0.5}}, {"kernel": "additive_chi2"}]
)
def test_nystroem_of_columns_that_are_not_negative(converter: Converter, settings: dict[str, Any]) -> None:
    rows = with_awkward_scales(load_iris().data)

    _, conversion = converter(FRAMEWORK)(
        Nystroem(n_components=10, random_state=0, **settings).fit(rows[::2]), rows[1::2].astype(np.float32)
    )

    assert conversion.parity.data.outliers == 0


def test_in_front_of_a_classifier(agree: Agree) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    approximated = Nystroem(gamma=0.1, n_components=20, random_state=0)
    agree(make_pipeline(StandardScaler(), approximated, LogisticRegression()), rows, labels)
    agree(make_pipeline(StandardScaler(), KernelPCA(5, kernel="rbf"), LogisticRegression()), rows[:200], labels[:200])


@pytest.mark.parametrize("model", [KernelPCA(2, kernel=np.dot), Nystroem(np.dot, n_components=5)], ids=["pca", "map"])
def test_functions_are_refused(converter: Converter, model: Any) -> None:
    rows = load_iris().data

    with pytest.raises(Unsupported, match="its kernel is the function 'dot', which a graph cannot run"):
        converter(FRAMEWORK)(model.fit(rows), rows)


def test_what_to_do_where_the_original_itself_is_rounding_noise(converter: Converter) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    with quiet():  # a singular matrix
        model = KernelRidge(kernel="poly").fit(with_awkward_scales(rows[::2]), targets[::2])

    with pytest.raises(ParityRefused, match="own answers depend on the order of additions; scale the columns in front"):
        converter(FRAMEWORK)(model, with_awkward_scales(rows[1::2]).astype(np.float32))

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.registration import CONVERTERS

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    ("classes", "datatype"), [([5, -2, 7], "INT64"), (["a", "ü", ""], "BYTES"), ([True, False], "INT64")]
)
def test_labels(convert: Convert, classes: list[Any], datatype: str) -> None:
    rows, numbers = load_iris(return_X_y=True)
    model = NearestCentroid().fit(rows, np.array(classes)[numbers % len(classes)])

    _, conversion = convert(model, rows)

    assert [(one.name, one.datatype, one.shape) for one in conversion.outputs] == [
        ("label", datatype, (-1,)),
        ("probabilities", "FP32", (-1, len(classes))),
    ]


def test_double_precision(convert: Convert) -> None:
    """Single precision does not tell these rows apart."""
    rows = np.array([[1e9], [1e9 + 1], [1e9 + 10], [1e9 + 11]])
    model = NearestCentroid().fit(rows, [0, 0, 1, 1])

    _, conversion = convert(model, rows)

    assert conversion.parity.attempt == "double precision"
    assert [one.datatype for one in conversion.inputs] == ["FP64"]
    assert [one.datatype for one in conversion.outputs] == ["INT64", "FP64"]


def test_linear_support_vector_machine_in_a_pipeline(convert: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)

    _, conversion = convert(make_pipeline(StandardScaler(), LinearSVC()).fit(rows, labels), rows)

    assert conversion.parity.data.flips == 0


def test_columns_behind_another_step(convert: Convert) -> None:
    rows = load_iris().data
    columns = make_column_transformer((StandardScaler(), [1]), (MinMaxScaler(), [0, 2]))

    _, conversion = convert(make_pipeline(PCA(3), columns).fit(rows), rows)

    assert conversion.parity.data.worst < 1e-5


@pytest.mark.parametrize("columns", [[3, 1, 0, 2], [1, 1, 2, 2], [2, 0]], ids=str)
def test_columns_in_another_order(convert: Convert, columns: list[int]) -> None:
    rows = load_iris().data

    _, conversion = convert(make_column_transformer((StandardScaler(), columns)).fit(rows), rows)

    assert conversion.parity.data.worst < 1e-5


class Nobodys(TransformerMixin, BaseEstimator):
    """An estimator that nobody registered a converter for."""

    def fit(self, rows: Any, targets: Any = None) -> "Nobodys":
        self.n_features_in_ = np.shape(rows)[1]
        return self

    def transform(self, rows: Any) -> Any:
        return rows


def test_a_class_that_is_registered_by_nobody(convert: Convert) -> None:
    with pytest.raises(Unsupported) as caught:
        convert(Nobodys().fit(load_iris().data))

    assert caught.value.model == "Nobodys"
    assert caught.value.problem.startswith("there is no converter for it")


def test_every_converter_is_for_another_estimator() -> None:
    """And each of them exists in this version of scikit-learn."""
    names = [one.estimator for one in CONVERTERS]

    assert len(names) == len(set(names))
    for name in names:
        module, _, kind = name.rpartition(".")
        assert getattr(import_module(module), kind).__name__ == kind

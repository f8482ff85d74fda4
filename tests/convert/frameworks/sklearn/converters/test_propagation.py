from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.frameworks.sklearn.reference import REFERENCE
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        (LabelSpreading, {"gamma": 1}),
        (LabelSpreading, {"gamma": 0.25, "alpha": 0.5}),
        (LabelSpreading, {"kernel": "knn"}),
        (LabelPropagation, {"gamma": 0.25}),
        (LabelPropagation, {"kernel": "knn", "n_neighbors": 3}),
    ],
    ids=str,
)
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_propagation(agree: Agree, load: Any, estimator: Any, settings: dict[str, Any]) -> None:
    rows, labels = load(return_X_y=True)
    agree(estimator(**settings), StandardScaler().fit_transform(rows) + 3, labels)


@pytest.mark.parametrize("kernel", ["rbf", "knn"])
def test_some_labels_are_unknown(converter: Converter, kernel: str) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    labels[::3] = -1
    with quiet():
        model = LabelSpreading(kernel=kernel, gamma=1e-4, max_iter=5).fit(rows[::2], labels[::2])

    _, conversion = converter(FRAMEWORK)(model, rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
def test_rows_far_from_all_others_have_no_probabilities(converter: Converter, framework: Framework) -> None:
    """scikit-learn divides 0 by 0 there, and answers with the first class."""
    rows, far = np.array([[0.0], [1], [2]]), np.array([[0], [8.1], [8.15], [100]], np.float32)

    original, conversion = converter(framework)(LabelPropagation().fit(rows, ["b", "a", "c"]), far)

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert np.isnan(original.run({"features": far})["probabilities"]).any(1).tolist() == [False, False, True, True]


def test_functions_are_refused(converter: Converter) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = LabelSpreading(kernel=lambda one, other: one @ other.T).fit(rows, labels)

    with pytest.raises(Unsupported, match="'<lambda>', which a graph cannot run; use kernel='rbf' or 'knn'"):
        converter(FRAMEWORK)(model, rows)


def test_the_first_of_neighbours_at_one_distance_is_the_nearest(converter: Converter) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = LabelSpreading(kernel="knn", n_neighbors=2).fit(rows[::2, :1], labels[::2])

    original, conversion = converter(FRAMEWORK)(model, rows[1::2, :1].astype(np.float32))

    assert original.reference == REFERENCE
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)

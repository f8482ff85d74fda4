from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import NearestCentroid
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    "settings",
    [{}, {"priors": "empirical"}, {"priors": [0.1, 0.2, 0.7]}, {"metric": "manhattan"}, {"shrink_threshold": 0.5}],
    ids=str,
)
def test_nearest_centroid(agree: Agree, settings: dict[str, Any]) -> None:
    agree(NearestCentroid(**settings), *load_iris(return_X_y=True))


@pytest.mark.parametrize("classes", [2, 3])
def test_others_read_its_decision_function(agree: Agree, classes: int) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(OneVsOneClassifier(NearestCentroid()), rows[labels < classes], labels[labels < classes])

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework
ROWS = load_wine().data
QUANTILE = {"strategy": "quantile", "quantile_method": "averaged_inverted_cdf"}


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "uniform"},
        {"strategy": "kmeans", "encode": "onehot-dense"},
        {"strategy": "uniform", "encode": "ordinal", "n_bins": 40},  # more edges than are all compared
        QUANTILE,
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Bins whose width are too small")
def test_bins(agree: Agree, settings: dict[str, Any]) -> None:
    found = agree(KBinsDiscretizer(**settings), ROWS)
    assert found[0].parity.data.worst == 0


def test_columns_with_different_numbers_of_bins(agree: Agree) -> None:
    rows = np.column_stack([ROWS[:, 0], np.zeros(len(ROWS)), ROWS[:, 2]])
    agree(KBinsDiscretizer([3, 5, 7], strategy="uniform"), rows)
    agree(KBinsDiscretizer(strategy="uniform"), rows[:, 1:2])  # no edges at all


def test_rows_on_an_edge_need_double_precision(
    converter: Callable[[Framework], Callable[..., tuple[Original, Conversion]]],
) -> None:
    model = KBinsDiscretizer(encode="ordinal", **QUANTILE).fit(ROWS)
    _, conversion = converter(FRAMEWORK)(model, ROWS)
    assert conversion.parity.attempt == "double precision"
    assert conversion.parity.data.worst == 0


def test_bins_in_front_of_a_classifier(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(make_pipeline(KBinsDiscretizer(strategy="uniform"), LogisticRegression()), rows, labels)

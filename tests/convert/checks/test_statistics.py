import json
from collections.abc import Callable

import numpy as np
import pytest

from snooze.convert.checks.cases import Rows
from snooze.convert.checks.statistics import MOST_COLUMNS, statistics

MakeRows = Callable[..., Rows]


def test_describes_each_column(matrix: MakeRows) -> None:
    found = statistics(matrix([[1.0, np.nan], [3.0, np.nan]], columns=("age", "weight")))

    assert found == {
        "features": {
            "rows": 2,
            "columns": [
                {"name": "age", "min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0, "missing": 0.0},
                {"name": "weight", "min": None, "max": None, "mean": None, "std": None, "missing": 1.0},
            ],
        }
    }
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("size", [1e149, 1e300, 1.7e308])
def test_describes_numbers_whose_squares_no_float_holds(matrix: MakeRows, size: float) -> None:
    (column,) = statistics(matrix([[size], [-size], [size], [-size]]))["features"]["columns"]

    assert column == {"name": "0", "min": -size, "max": size, "mean": 0.0, "std": pytest.approx(size), "missing": 0.0}


def test_numbers_columns_without_names(matrix: MakeRows) -> None:
    found = statistics(matrix([[1, 2]], columns=("only one name",)))

    assert [column["name"] for column in found["features"]["columns"]] == ["0", "1"]


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (2, MOST_COLUMNS + 1)])
def test_describes_large_arrays_as_a_whole(matrix: MakeRows, shape: tuple[int, ...]) -> None:
    (column,) = statistics(matrix(np.ones(shape)))["features"]["columns"]

    assert column == {"name": "all", "min": 1.0, "max": 1.0, "mean": 1.0, "std": 0.0, "missing": 0.0}


def test_says_nothing_of_made_up_rows(matrix: MakeRows) -> None:
    assert statistics(matrix([[1.0]], real=False)) == {}

from collections.abc import Callable

import numpy as np
import pytest

from snooze.bundle.evidence import Column, InputStatistics
from snooze.convert.checks.cases import Case, rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.statistics import MAX_COLUMNS, describe

MakeRows = Callable[..., Dataset]


def test_describes_each_column(matrix: MakeRows) -> None:
    found = describe(matrix([[1.0, np.nan], [3.0, np.nan]], columns=("age", "weight")))

    columns = (
        Column("age", min=1.0, max=3.0, mean=2.0, std=1.0, missing=0.0),
        Column("weight", min=None, max=None, mean=None, std=None, missing=1.0),
    )
    assert found == {"features": InputStatistics(rows=2, columns=columns)}


@pytest.mark.parametrize("size", [1e149, 1e300, 1.7e308])
def test_describes_numbers_whose_squares_overflow(matrix: MakeRows, size: float) -> None:
    (column,) = describe(matrix([[size], [-size], [size], [-size]]))["features"].columns

    assert column._replace(std=0) == Column("0", min=-size, max=size, mean=0.0, std=0, missing=0.0)
    assert column.std == pytest.approx(size)


def test_numbers_columns_without_names(matrix: MakeRows) -> None:
    found = describe(matrix([[1, 2]], columns=("only one name",)))

    assert [column.name for column in found["features"].columns] == ["0", "1"]


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (2, MAX_COLUMNS + 1)])
def test_describes_large_arrays_as_a_whole(matrix: MakeRows, shape: tuple[int, ...]) -> None:
    (column,) = describe(matrix(np.ones(shape)))["features"].columns

    assert column == Column("all", min=1.0, max=1.0, mean=1.0, std=0.0, missing=0.0)


def test_describes_numeric_inputs_of_different_lengths() -> None:
    cases = tuple(
        Case({"sound": np.ones(size), "text": np.array("a", object)}, {"sound": None, "text": None}) for size in (2, 5)
    )

    found = describe(Dataset(cases))

    assert list(found) == ["sound"]
    assert (found["sound"].rows, [column.name for column in found["sound"].columns]) == (2, ["all"])


def test_describes_the_numeric_columns_of_a_table_by_input() -> None:
    tensors = {
        "age": np.array([[30], [50]]),
        "town": np.array([["a"], ["b"]], object),
        "kind": np.array([["x"], ["y"]]),
    }

    found = describe(Dataset((rows_case(tensors),), columns=("age", "town", "kind")))

    assert {name: one.columns[0].mean for name, one in found.items()} == {"age": 40.0}


def test_does_not_describe_drawn_rows(matrix: MakeRows) -> None:
    assert describe(matrix([[1.0]], real=False)) == {}

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Case, rows_case
from snooze.convert.checks.dataset import MAX_ROWS, Data, Dataset, load, read_rows
from snooze.convert.frameworks.interface import Input, Inputs

PAIR = (Input(Tensor("features", "FP32", (-1, 2))),)
TWO = (Input(Tensor("image", "FP32", (-1, 4, 4, 1))), Input(Tensor("age", "INT64", (-1, 1))))
ROWS = np.arange(6.0).reshape(3, 2)
MakeRows = Callable[..., Dataset]


def read(
    data: Data, inputs: Inputs, y: Any = None, label: str | None = None, columns: tuple[str, ...] | None = None
) -> Dataset:
    return load(read_rows(data, y, label), inputs, columns, "data")


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_takes_units_with_their_labels_from_every_case(lengths: list[int], data: st.DataObject) -> None:
    numbers = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    dataset = Dataset(tuple(rows_case({"x": part}) for part in numbers), np.arange(sum(lengths)) * 10)
    index = np.array(data.draw(st.lists(st.integers(0, sum(lengths) - 1), min_size=1, max_size=6)))

    taken = dataset.take(index)

    units = np.concatenate([case.tensors["x"] for case in taken.cases])
    assert sorted(units) == sorted(index)
    assert taken.labels is not None
    assert (taken.labels == units * 10).all()
    if len(lengths) == 1:
        assert (units == index).all()


def test_a_case_without_rows_is_one_unit() -> None:
    dataset = Dataset(tuple(Case({"x": np.full(size, size)}, {"x": None}) for size in (2, 5, 3)), np.array([0, 1, 2]))

    taken = dataset.take(np.array([1, 2]))

    assert len(dataset) == 3
    assert [case.tensors["x"].tolist() for case in taken.cases] == [[5] * 5, [3] * 3]
    assert dataset.request(8).tensors["x"].tolist() == [2, 2]


def test_spreads_some_units_evenly(matrix: MakeRows) -> None:
    data = matrix(np.arange(100).reshape(-1, 1))

    assert data.take_evenly(3).cases[0].tensors["features"].ravel().tolist() == [0, 49, 99]
    assert data.take_evenly(100) is data


def test_a_request_repeats_the_rows(matrix: MakeRows) -> None:
    assert matrix([[1], [2]]).request(5).tensors["features"].ravel().tolist() == [1, 2, 1, 2, 1]


def test_reads_arrays_by_name_and_labels_as_y(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "image": np.zeros((3, 4, 4, 1)),
        "age": np.ones((3, 1), int),
        "y": np.array(["a", "b", "a"]),
    }
    np.savez(tmp_path / "rows.npz", **arrays)

    for data in (read(tmp_path / "rows.npz", TWO), read(arrays, TWO)):
        assert (len(data), list(data.cases[0].tensors), data.real) == (3, ["image", "age"], True)
        assert data.cases[0].axes == {"image": 0, "age": 0}
        assert data.labels is not None
        assert data.labels.tolist() == ["a", "b", "a"]


def test_keeps_the_precision_of_the_rows() -> None:
    """The original answers what the user gave; only the graph gets single precision."""
    data = read(ROWS + 1e-12, PAIR)

    assert data.cases[0].tensors["features"].dtype == np.float64


def test_reads_the_columns_that_the_model_knows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("b,kind,a\n2,good,1\n,bad,3\n")

    data = read(tmp_path / "rows.csv", PAIR, label="kind", columns=("a", "b"))

    assert data.columns == ("a", "b")
    assert data.labels is not None
    assert data.labels.tolist() == ["good", "bad"]
    np.testing.assert_array_equal(data.cases[0].tensors["features"], [[1, 2], [3, np.nan]])


def test_the_columns_of_a_table_have_names(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n")

    assert read(tmp_path / "rows.csv", PAIR).columns == ("a", "b")
    assert read(np.array([[1, 2], [3, 4]]), PAIR).columns is None


def test_uses_at_most_20000_rows() -> None:
    data = read(np.zeros((MAX_ROWS + 5, 2)), PAIR, np.zeros(MAX_ROWS + 5))

    assert len(data) == MAX_ROWS
    assert data.labels is not None
    assert len(data.labels) == MAX_ROWS
    assert data.notes == ("of 20005 rows, 20000 were compared, spread evenly",)


def test_uses_as_many_rows_as_the_memory_allows() -> None:
    """And at least one, however large it is."""
    data = Dataset((rows_case({"image": np.zeros((6, 1000, 1000), np.uint8), "age": np.zeros((6, 1), np.uint8)}),))

    assert len(data.take_evenly(6, max_bytes=3_100_000)) == 3
    assert len(data.take_evenly(6, max_bytes=10)) == 1
    assert data.take_evenly(6) is data


def test_every_row_has_a_label() -> None:
    with pytest.raises(InvalidData) as caught:
        read(ROWS, PAIR, np.zeros(2))

    assert caught.value.what == "data"

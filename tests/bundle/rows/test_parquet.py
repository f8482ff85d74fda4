import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet

from snooze.bundle.errors import InvalidData, MissingExtra
from snooze.bundle.rows import parquet as module
from snooze.bundle.rows.parquet import read_parquet
from snooze.bundle.rows.reading import read

Column = Any


def write(folder: Path, columns: dict[str, Column], **options: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), folder / "rows.parquet", **options)
    return folder / "rows.parquet"


@pytest.mark.parametrize(
    ("column", "dtype", "values"),
    [
        ([1, 2, 3], "int64", [1, 2, 3]),
        ([1, None, 3], "float64", [1, np.nan, 3]),
        (pyarrow.array([1.5, None, 2], pyarrow.float32()), "float32", [1.5, np.nan, 2]),
        ([True, False, True], "bool", [True, False, True]),
        ([True, None, False], "object", [True, None, False]),
        (["a", None, "ü"], "object", ["a", None, "ü"]),
        (pyarrow.array(["a", None, "ü"], pyarrow.large_string()), "object", ["a", None, "ü"]),
        (pyarrow.array(["a", None, "ü"]).dictionary_encode(), "object", ["a", None, "ü"]),
        (pyarrow.array([10, None, 20]).dictionary_encode(), "float64", [10, np.nan, 20]),
        ([Decimal("1.5"), None, Decimal(2)], "float64", [1.5, np.nan, 2]),
        ([date(2020, 1, 2), None, date(2021, 3, 4)], "object", ["2020-01-02", None, "2021-03-04"]),
        (pyarrow.nulls(3), "float64", [np.nan, np.nan, np.nan]),
        ([[1, 2], [3, 4], [5, 6]], "int64", [[1, 2], [3, 4], [5, 6]]),
        (pyarrow.array([[0.5], [1], [2]], pyarrow.list_(pyarrow.float64(), 1)), "float64", [[0.5], [1], [2]]),
    ],
    ids=str,
)
def test_columns_are_those_of_pandas(tmp_path: Path, column: Column, dtype: str, values: list[Any]) -> None:
    array = read_parquet(write(tmp_path, {"x": column}, row_group_size=2))["x"]

    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(values, dtype))


def test_a_frame_of_pandas_has_no_index_and_keeps_its_labels_apart(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"age": [31.0, None], "city": pandas.Categorical(["Ulm", None]), "y": [0, 1]}, [7, 3])
    frame.to_parquet(tmp_path / "rows.parquet")

    rows = read(tmp_path / "rows.parquet", "y")

    assert list(rows.arrays) == ["age", "city"]
    assert rows.arrays["city"].tolist() == ["Ulm", None]
    assert rows.labels is not None
    assert rows.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ([{"a": 1}], "column 'x' has type struct<a: int64>"),
        ([b"bytes"], "column 'x' has type binary"),
        ([["a"]], "column 'x' has type list<element: string>"),
        ([[1, 2], [3]], "column 'x' has lists of different lengths"),
        ([[1, 2], None], "column 'x' has lists of different lengths"),
        (pyarrow.array([], pyarrow.int64()), "contains no rows"),
    ],
    ids=str,
)
def test_other_columns_are_refused(tmp_path: Path, column: Column, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read(write(tmp_path, {"x": column}))

    assert problem in caught.value.problem


def test_a_name_is_not_given_twice(tmp_path: Path) -> None:
    table = pyarrow.table([[1], [2]], ["x", "x"])
    parquet.write_table(table, tmp_path / "rows.parquet")

    with pytest.raises(InvalidData, match="column 'x' is duplicated"):
        read(tmp_path / "rows.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1 but nothing else", b"\x00" * 100])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)

    with pytest.raises(InvalidData) as caught:
        read(tmp_path / "rows.parquet")

    assert "cannot be read" in caught.value.problem


def test_more_rows_than_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"x": np.zeros(2000)})
    monkeypatch.setattr(module, "MAX_UNPACKED", 10_000)

    with pytest.raises(InvalidData, match="unpacks to at least"):
        read(path)


def test_texts_that_are_repeated_take_little_memory(tmp_path: Path) -> None:
    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(100_000, np.int32), ["long " * 20_000])
    rows = read(write(tmp_path, {"x": texts})).arrays["x"]

    assert len(rows) == 100_000
    assert len({id(one) for one in rows.tolist()}) <= 2  # a batch each


def test_names_the_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"x": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingExtra) as caught:
        read(path)

    assert (caught.value.module, caught.value.extra) == ("pyarrow", "parquet")

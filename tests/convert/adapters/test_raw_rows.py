from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.adapters import table, text
from snooze.bundle.adapters.image import Declaration as Image
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import Rows, read
from snooze.convert.adapters.raw_rows import Taken, find_file, raw_rows

TEXT = text.Declaration("text", "text")
PERSON = table.Declaration("table", (table.Column("age", "number"), table.Column("city", "text", missing=True)))
PICTURES = Rows({}, None, [b"a", b"b"])


def texts(*values: Any) -> Any:
    return np.array(values, object)


def test_a_table_gives_objects_with_the_declared_columns() -> None:
    rows = Rows({"id": np.array([7, 8]), "city": texts("Ulm", ""), "age": np.array([40.0, np.nan])})

    found = raw_rows(PERSON, rows, "a.csv")

    assert found is not None
    assert list(found) == [{"age": 40.0, "city": "Ulm"}, {"age": None, "city": None}]
    assert found[1:] == [{"age": None, "city": None}]


def test_an_array_without_names_has_the_columns_in_their_order() -> None:
    found = raw_rows(PERSON, Rows({"": texts([40, "Ulm"], [41, None])}), "a.npy")

    assert found is not None
    assert list(found) == [{"age": 40, "city": "Ulm"}, {"age": 41, "city": None}]


def test_arrays_that_do_not_name_the_columns_have_no_raw_rows() -> None:
    assert raw_rows(PERSON, Rows({"": np.zeros((2, 3))}), "a.npy") is None


def test_texts_are_the_only_column_of_texts() -> None:
    assert raw_rows(TEXT, Rows({"id": np.array([1, 2]), "question": texts("a", "b")}), "a.csv") == ["a", "b"]


@pytest.mark.parametrize(
    ("declaration", "rows", "problem"),
    [
        (TEXT, Rows({"a": texts("x"), "b": texts("y")}), "expected one column of texts, got 2"),
        (TEXT, PICTURES, "is a folder of pictures, but the adapter takes a text"),
        (Image("image", "x", 2, 2, "NHWC", "RGB"), Rows({"a": texts("x")}), "expected a folder of pictures"),
    ],
)
def test_rows_of_another_kind_are_refused(declaration: Any, rows: Rows, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        raw_rows(declaration, rows, "a.csv")

    assert caught.value.problem.startswith(problem)


def test_takes_some_rows_by_their_places() -> None:
    taken = Taken([b"a", b"b", b"c", b"d"], np.array([1, 3]))

    assert (len(taken), taken[1], taken[:1]) == (2, b"d", [b"b"])


def test_the_file_of_a_taken_picture_is_known(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    taken = Taken(Taken(read(tmp_path).raw or (), np.array([0, 2])), np.array([1]))

    assert taken[0] == b"c"
    assert find_file(taken, 0) == tmp_path / "c.jpg"
    assert find_file([b"c"], 0) is None

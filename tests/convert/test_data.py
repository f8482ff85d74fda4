from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle import Tensor
from snooze.convert.data import MOST_ROWS, checked, from_file
from snooze.convert.errors import InvalidData

PAIR = (Tensor("features", "FP32", (-1, 2)),)
TWO = (Tensor("image", "FP32", (-1, 4, 4, 1)), Tensor("age", "INT64", (-1, 1)))
ROWS = np.arange(6.0).reshape(3, 2)


def test_reads_arrays_by_name_and_labels_as_y(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "image": np.zeros((3, 4, 4, 1)),
        "age": np.ones((3, 1), int),
        "y": np.array(["a", "b", "a"]),
    }
    np.savez(tmp_path / "rows.npz", **arrays)

    rows = from_file(tmp_path / "rows.npz", TWO, None, None)

    assert len(rows) == 3
    assert list(rows.inputs) == ["image", "age"]
    assert rows.labels is not None
    assert rows.labels.tolist() == ["a", "b", "a"]
    assert rows.real


def test_the_only_array_may_have_any_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", X=ROWS)

    assert from_file(tmp_path / "rows.npz", PAIR, None, None).inputs["features"].tolist() == ROWS.tolist()


def test_reads_the_rows_of_an_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)

    assert from_file(tmp_path / "rows.npy", PAIR, None, None).inputs["features"].tolist() == ROWS.tolist()


@pytest.mark.parametrize(
    ("text", "label", "labels"),
    [
        ("a,b,kind\n1,2,7\n3,,8\n", "kind", [7, 8]),
        ("kind,a,b\n0.5,1,2\n1.5,3,\n", "kind", [0.5, 1.5]),
        ("a,kind,b\n1,good,2\n3,bad,\n", "kind", ["good", "bad"]),
        ("\ufeffa,b\n1,2\n\n3,\n", None, None),
    ],
)
def test_reads_a_csv(tmp_path: Path, text: str, label: str | None, labels: list[Any] | None) -> None:
    (tmp_path / "rows.csv").write_text(text, "utf-8")

    rows = from_file(tmp_path / "rows.csv", PAIR, None, label)

    assert rows.columns == ("a", "b")
    np.testing.assert_array_equal(rows.inputs["features"], [[1, 2], [3, np.nan]])
    assert (None if rows.labels is None else rows.labels.tolist()) == labels


def test_finds_the_columns_that_the_model_knows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,b,a\n9,2,1\n")

    rows = from_file(tmp_path / "rows.csv", PAIR, ("a", "b"), None)

    assert rows.inputs["features"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "label", "problem"),
    [
        ("a,b\n", None, "{path}: expected a line of column names and at least one row"),
        ("a,b\n1,2\n1\n", None, "{path}: line 3 has 1 fields, the header 2"),
        ("a,a\n1,2\n", None, "{path}: several columns are called 'a'; give each column a name of its own"),
        ("b,a,b ,a\n1,2,3,4\n", "a", "{path}: several columns are called 'a', 'b'; give each column a name of its own"),
        ("a,b\n1,2\n", "c", "--label: {path} has no column 'c'; it has: a, b"),
        (
            "a,b\n1,x\n",
            None,
            "{path}: line 2, column 'b': 'x' is not a number; if these are the labels, add --label b",
        ),
        ("a,b,c\n1,2,3\n", None, "{path}: input 'features' takes rows of shape (2), got (3)"),
    ],
)
def test_says_what_is_wrong_with_a_csv(tmp_path: Path, text: str, label: str | None, problem: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)

    with pytest.raises(InvalidData) as caught:
        from_file(path, PAIR, None, label)

    assert str(caught.value) == problem.format(path=path)


@pytest.mark.parametrize(
    ("tensor", "rows", "problem"),
    [
        (PAIR[0], [[1e300, 0]], "input 'features' takes FP32, which cannot hold 1e+300"),
        (PAIR[0], [[0, -1e39]], "input 'features' takes FP32, which cannot hold -1e+39"),
        (Tensor("pixels", "UINT8", (-1, 2)), [[255, 256]], "input 'pixels' takes UINT8, which cannot hold 256"),
        (Tensor("pixels", "UINT8", (-1, 2)), [[0.0, -1.0]], "input 'pixels' takes UINT8, which cannot hold -1"),
    ],
)
def test_numbers_that_the_input_cannot_hold_are_refused(tensor: Tensor, rows: list[list[float]], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        checked({"rows": np.array(rows)}, (tensor,), "data")

    assert str(caught.value) == f"data: {problem}"


@pytest.mark.parametrize(
    ("datatype", "rows"),
    [
        ("FP32", [[np.nan, np.inf]]),
        ("FP32", [[3.4e38, -3.4e38]]),
        ("FP64", [[1e300, -1e308]]),
        ("INT64", [[2**63 - 1, -(2**63)]]),
        ("BOOL", [[True, False]]),
    ],
)
def test_numbers_that_the_input_can_hold_are_taken(datatype: str, rows: list[list[Any]]) -> None:
    array = np.array(rows)

    assert checked({"rows": array}, (Tensor("x", datatype, (-1, 2)),), "data").inputs["x"] is array


def test_a_csv_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,\xff\n")

    with pytest.raises(InvalidData, match="cannot be read as csv: 'utf-8' codec"):
        from_file(tmp_path / "rows.csv", PAIR, None, None)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.npz", b"hello", "is not a file of numpy"),
        ("rows.npz", b"PK\x03\x04hello", "cannot be read: "),
        ("rows.npy", b"", "cannot be read: "),
        ("rows.parquet", b"PAR1", "files of this kind are not read as rows; .npz, .npy and .csv are read"),
    ],
)
def test_says_why_a_file_is_not_read(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidData) as caught:
        from_file(path, PAIR, None, None)

    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_never_unpickles_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.savez(tmp_path / "rows.npz", features=np.array([{"a": 1}], object))

    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(InvalidData, match=r"holds Python objects; save arrays of numbers"):
            from_file(tmp_path / name, PAIR, None, None)


def test_a_file_under_the_wrong_name_is_told(tmp_path: Path) -> None:
    with (tmp_path / "rows.npz").open("wb") as file:
        np.save(file, ROWS)
    with (tmp_path / "rows.npy").open("wb") as file:
        np.savez(file, ROWS)

    with pytest.raises(InvalidData, match=r"name it \.npy"):
        from_file(tmp_path / "rows.npz", PAIR, None, None)
    with pytest.raises(InvalidData, match=r"name it \.npz"):
        from_file(tmp_path / "rows.npy", PAIR, None, None)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="there is no such file"):
        from_file(tmp_path / "no.npz", PAIR, None, None)
    with pytest.raises(InvalidData, match="is a folder"):
        from_file(tmp_path, PAIR, None, None)


def test_a_label_column_is_for_csv(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", X=ROWS)

    with pytest.raises(InvalidData) as caught:
        from_file(tmp_path / "rows.npz", PAIR, None, "kind")

    assert str(caught.value) == "--label: names a column of a .csv; in rows.npz labels are the array 'y'"


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"image": ROWS}, "expected arrays image, age (and labels as 'y'), got image"),
        ({"image": np.zeros((1, 4, 4, 1)), "age": np.zeros((1, 1)), "z": ROWS}, "expected arrays image, age"),
        (
            {"image": np.zeros((2, 4, 4, 1)), "age": np.zeros((3, 1), int)},
            "arrays differ in rows: image has 2, age has 3",
        ),
        (
            {"image": np.zeros((2, 4, 4, 1)), "age": np.zeros((2, 1), int), "y": np.zeros(1)},
            "arrays differ in rows: image has 2, age has 2, y has 1",
        ),
        ({"image": np.zeros((0, 4, 4, 1)), "age": np.zeros((0, 1), int)}, "there are no rows in it"),
        ({"image": np.zeros((1, 4, 4)), "age": np.zeros((1, 1))}, "input 'image' takes rows of shape (4, 4, 1), got"),
        ({"image": np.zeros((1, 4, 4, 1)), "age": np.array([["x"]])}, "input 'age' takes INT64, the rows hold <U1"),
        (
            {"image": np.zeros((1, 4, 4, 1)), "age": np.array([[np.nan]])},
            "input 'age' takes INT64, which cannot be missing or infinite",
        ),
    ],
)
def test_says_which_array_does_not_fit(arrays: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        checked(arrays, TWO, "data")

    assert str(caught.value).startswith(f"data: {problem}")


def test_a_variable_dimension_takes_any_size() -> None:
    takes = (Tensor("words", "FP32", (-1, -1, 3)),)

    assert len(checked({"words": np.zeros((2, 9, 3))}, takes, "data")) == 2
    with pytest.raises(InvalidData, match=r"takes rows of shape \(any, 3\), got \(9, 4\)"):
        checked({"words": np.zeros((2, 9, 4))}, takes, "data")


def test_takes_some_of_very_many_rows() -> None:
    rows = checked({"x": np.arange(50_000.0).repeat(2).reshape(-1, 2), "y": np.arange(50_000)}, PAIR, "data")

    assert len(rows) == MOST_ROWS
    assert rows.labels is not None
    assert (rows.labels[0], rows.labels[-1]) == (0, 49_999)
    assert (rows.inputs["features"][:, 0] == rows.labels).all()

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.benchmarks.errors import InvalidData
from snooze.benchmarks.load import rows
from snooze.bundle import Tensor

FEATURES = Tensor("features", "FP32", (-1, 3))


def test_reads_a_table_without_its_label(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,y,b,c\n1,yes,2,3.5\n4,no,5,6\n")

    found = rows.fit(rows.read(tmp_path / "rows.csv", "y"), [FEATURES], "rows.csv")

    assert found["features"].dtype == np.float32
    assert found["features"].tolist() == [[1, 2, 3.5], [4, 5, 6]]


def test_reads_a_table_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2,3\n\n4,5,6\n")

    assert rows.fit(rows.read(tmp_path / "rows.csv"), [FEATURES], "rows.csv")["features"].tolist() == [
        [1, 2, 3],
        [4, 5, 6],
    ]


def test_gives_each_input_its_column(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("size,colour\n1.5,red\n2,blue\n")
    inputs = [Tensor("colour", "BYTES", (-1, 1)), Tensor("size", "FP64", (-1, 1))]

    found = rows.fit(rows.read(tmp_path / "rows.csv"), inputs, "rows.csv")

    assert {name: array.tolist() for name, array in found.items()} == {
        "colour": [["red"], ["blue"]],
        "size": [[1.5], [2]],
    }


def test_reads_arrays_by_input_name_and_leaves_labels_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", features=np.ones((2, 3)), y=np.zeros(2))

    assert list(rows.read(tmp_path / "rows.npz")) == ["features"]


def test_reads_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones((2, 3)))

    assert rows.fit(rows.read(tmp_path / "rows.npy"), [FEATURES], "rows.npy")["features"].shape == (2, 3)


@pytest.mark.parametrize(
    "text", ["[1, 2, 3]\n[4, 5, 6]\n", '{"features": [1, 2, 3], "y": 0}\n{"features": [4, 5, 6], "y": 1}\n']
)
def test_reads_lines_of_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)

    found = rows.fit(rows.read(tmp_path / "rows.jsonl"), [FEATURES], "rows.jsonl")

    assert found["features"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_reads_the_golden_inputs_of_a_bundle(bundle: Path) -> None:
    assert rows.read(bundle)["features"].shape == (8, 4)


@pytest.mark.parametrize("texts", [["1,2,3.5", "4, 5, 6"], ["[1, 2, 3.5]", "[4, 5, 6]"]])
def test_reads_rows_of_the_command_line(texts: list[str]) -> None:
    assert rows.fit(rows.parse(texts), [FEATURES], "--row")["features"].tolist() == [[1, 2, 3.5], [4, 5, 6]]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.csv", "", "there are no rows in it"),
        ("rows.csv", "a,b\n", "there are no rows in it"),
        ("rows.csv", "a,b\n1,2\n3\n", "row 3 has 1 fields, expected 2"),
        ("rows.csv", "a,b\n1,2\n", "there is no column 'y'; there are: a, b"),
        ("rows.jsonl", "[1, 2]\n[1]\n", "all rows need the same shape"),
        ("rows.jsonl", '{"a": 1}\n{"b": 1}\n', "every line needs the keys of the first: a"),
        ("rows.jsonl", "[1\n", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ("rows.xlsx", "", "expected .npz, .npy, .csv, .jsonl or a bundle's folder, got '.xlsx'"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(InvalidData) as caught:
        rows.read(tmp_path / name, "y" if "column" in problem else None)

    assert str(caught.value) == f"{tmp_path / name}: {problem}"


@pytest.mark.parametrize(
    ("name", "problem"), [("none.csv", "No such file or directory"), ("", "there is no bundle.json in it")]
)
def test_says_that_a_file_is_not_there(tmp_path: Path, name: str, problem: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    with pytest.raises(InvalidData) as caught:
        rows.read(folder / name)

    assert problem in str(caught.value) or "holds no model" in str(caught.value)


def test_never_unpickles(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}], object), allow_pickle=True)

    with pytest.raises(InvalidData, match="Object arrays cannot be loaded"):
        rows.read(tmp_path / "rows.npy")


def test_names_the_row_that_is_neither_numbers_nor_json() -> None:
    with pytest.raises(InvalidData) as caught:
        rows.parse(["1,2,3", "one,two"])

    assert str(caught.value) == "--row: expected numbers like 1.5,2,3 or a JSON array, got 'one,two'"


@pytest.mark.parametrize(
    ("given", "tensor", "problem"),
    [
        (np.ones((2, 4)), FEATURES, "input 'features' is [rows, 3], got [2, 4]"),
        (np.ones(3), FEATURES, "input 'features' is [rows, 3], got [3]"),
        (np.array([["a", "b", "c"]], object), FEATURES, "input 'features' is FP32, got object"),
        (np.full((1, 1), 0.5), Tensor("n", "INT64", (-1, 1)), "input 'n' is INT64, and some values do not fit into it"),
        (np.full((1, 1), 300), Tensor("n", "UINT8", (-1, 1)), "input 'n' is UINT8, and some values do not fit into it"),
    ],
)
def test_says_what_does_not_fit(given: Any, tensor: Tensor, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        rows.fit({"": given}, [tensor], "rows.npy")

    assert str(caught.value) == f"rows.npy: {problem}"


def test_names_the_input_that_is_missing() -> None:
    inputs = [Tensor("size", "FP32", (-1, 1)), Tensor("colour", "BYTES", (-1, 1))]

    with pytest.raises(InvalidData) as caught:
        rows.fit({"size": np.ones((2, 1))}, inputs, "rows.npz")

    assert str(caught.value) == "rows.npz: input 'colour' is missing; it holds size"


def test_wants_as_many_rows_of_every_input() -> None:
    inputs = [Tensor("a", "FP32", (-1, 1)), Tensor("b", "FP32", (-1, 1))]

    with pytest.raises(InvalidData) as caught:
        rows.fit({"a": np.ones((2, 1)), "b": np.ones((3, 1))}, inputs, "rows.npz")

    assert str(caught.value) == "rows.npz: every input needs the same number of rows, got {'a': 2, 'b': 3}"


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT64", "UINT8", "BOOL", "BYTES"])
def test_draws_rows_that_fit_the_signature(datatype: str) -> None:
    tensor = Tensor("x", datatype, (-1, 2, 2))

    drawn = rows.fit(rows.draw([tensor], 1), [tensor], "drawn")

    assert drawn["x"].shape == (64, 2, 2)


def test_draws_the_same_rows_again() -> None:
    np.testing.assert_array_equal(rows.draw([FEATURES], 5)["features"], rows.draw([FEATURES], 5)["features"])


def test_does_not_guess_the_shape_of_a_picture() -> None:
    with pytest.raises(InvalidData) as caught:
        rows.draw([Tensor("image", "FP32", (-1, -1, -1, 3))], 1)

    assert str(caught.value) == "input 'image': its shape [-1, -1, -1, 3] is variable; give rows with --data"

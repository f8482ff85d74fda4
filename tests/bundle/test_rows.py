import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle import rows
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows import Rows, draw, fit, parse, read

MATRIX = (Tensor("features", "FP32", (-1, 2)),)
TABLE = np.array([[1.0, 2.0], [3.0, 4.5], [5.0, 6.0]])


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".npy":
        np.save(path, content)
    else:
        path.write_text(content)
    return path


FILES: list[tuple[str, Any]] = [
    ("rows.npz", {"features": TABLE}),
    ("rows.npz", {"other": TABLE}),
    ("rows.npy", TABLE),
    ("rows.csv", "1,2\n3,4.5\n5,6\n"),
    ("rows.csv", "a,b\n1,2\n3,4.5\n5,6\n"),
    ("rows.CSV", "\ufeffa,b\r\n1,2\r\n\r\n3,4.5\r\n5,6\r\n"),
    ("rows.jsonl", "[1,2]\n[3,4.5]\n\n[5,6]\n"),
    ("rows.jsonl", '{"a":1,"b":2}\n{"b":4.5,"a":3}\n{"a":5,"b":6}\n'),
    ("rows.json", "[[1,2],[3,4.5],[5,6]]"),
    ("rows.json", '{"rows":[[1,2],[3,4.5],[5,6]]}'),
]


@pytest.mark.parametrize(("name", "content"), FILES, ids=lambda value: str(value)[:30])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: Any) -> None:
    path = write(tmp_path / name, content)

    fitted = fit(read(path), MATRIX, name)

    np.testing.assert_array_equal(fitted["features"], TABLE.astype(np.float32), strict=True)


@pytest.mark.parametrize(
    ("name", "content", "label", "labels"),
    [
        ("rows.npz", {"features": TABLE, "y": np.array([0, 1, 0])}, None, [0, 1, 0]),
        ("rows.csv", "a,b,kind\n1,2,0\n3,4.5,1\n5,6,0\n", "kind", [0, 1, 0]),
        ("rows.csv", "kind,a,b\nx,1,2\ny,3,4.5\nx,5,6\n", "kind", ["x", "y", "x"]),
        (
            "rows.jsonl",
            '{"a":1,"b":2,"kind":0.5}\n{"a":3,"b":4.5,"kind":1}\n{"a":5,"b":6,"kind":2}',
            "kind",
            [0.5, 1, 2],
        ),
    ],
    ids=["npz", "csv", "csv of texts", "jsonl"],
)
def test_labels_are_kept_apart(tmp_path: Path, name: str, content: Any, label: str | None, labels: list[Any]) -> None:
    rows = read(write(tmp_path / name, content), label)

    assert rows.labels is not None
    assert rows.labels.tolist() == labels
    np.testing.assert_array_equal(fit(rows, MATRIX, name)["features"], TABLE.astype(np.float32))


def test_an_empty_field_is_missing(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "rows.csv", "a,b\n1,\n,4\n"))

    np.testing.assert_array_equal(fit(rows, MATRIX, "rows.csv")["features"], [[1, np.nan], [np.nan, 4]])


def test_known_columns_are_picked_in_their_order(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "rows.csv", "id,b,a\n7,2,1\n8,4,3\n"))

    assert fit(rows, MATRIX, "rows.csv", columns=("a", "b"))["features"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "content", "label", "problem"),
    [
        ("rows.txt", "1,2", None, "expected a file of rows"),
        ("rows.csv", "", None, "no rows"),
        ("rows.csv", "a,b\n", None, "no rows"),
        ("rows.csv", "a,a\n1,2\n", None, "column 'a' is duplicated"),
        ("rows.csv", "a,b\n1,2,3\n", None, "line 2 has 3 fields"),
        ("rows.csv", "a,b\n1,2\n", "kind", "no column 'kind'; available: a, b"),
        ("rows.npy", np.array([object()]), None, "never unpickled"),
        ("rows.npz", {}, None, "no rows"),
        ("rows.json", "{", None, "cannot be read"),
        ("rows.json", '{"row": []}', None, "expected a list of rows"),
        ("rows.json", "[[1,2],[3]]", None, "different lengths"),
        ("rows.json", "[{}]", None, "no rows"),
        ("rows.jsonl", '{"a":1}\n{"b":2}\n', None, "row 1: expected an object with a"),
        ("rows.json", "[" * 100_000, None, "nested too deeply"),
    ],
    ids=lambda value: "array" if isinstance(value, np.ndarray) else str(value)[:30],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: Any, label: str | None, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read(write(tmp_path / name, content), label)

    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["text.npy", "text.npz", "cut.npz"])
def test_what_is_no_numpy_file_is_refused(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "whole.npz", a=TABLE)
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / name).write_bytes(whole[:100] if name.startswith("cut") else b"a,b\n1,2\n")

    with pytest.raises(InvalidData):
        read(tmp_path / name)


@pytest.mark.parametrize(("name", "problem"), [("missing.csv", "does not exist"), ("folder.csv", "is a folder")])
def test_only_files_are_read(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(InvalidData) as caught:
        read(tmp_path / name)

    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["1,2.5"], [[1, 2.5]]), (["1,2", "3,4"], [[1, 2], [3, 4]]), (["[[1,2],[3,4]]"], [[[1, 2], [3, 4]]])],
)
def test_rows_of_the_command_line(texts: list[str], expected: list[Any]) -> None:
    assert parse(texts).arrays[""].tolist() == expected


@pytest.mark.parametrize("texts", [["[1,2"], ["1,2", "3"]])
def test_other_rows_of_the_command_line_are_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidData):
        parse(texts)


def test_texts_and_missing_values_of_json(tmp_path: Path) -> None:
    texts = read(write(tmp_path / "texts.json", json.dumps([["a", "b"], ["c", "d"]])))
    numbers = read(write(tmp_path / "numbers.json", json.dumps([[1, None]])))

    assert fit(texts, (Tensor("words", "BYTES", (-1, 2)),), "x")["words"].tolist() == [["a", "b"], ["c", "d"]]
    np.testing.assert_array_equal(numbers.arrays[""], [[1, np.nan]])


@pytest.mark.parametrize(
    ("arrays", "inputs", "problem"),
    [
        ({"a": TABLE, "b": TABLE}, (Tensor("x", "FP32", (-1, 2)),), "input 'x' is missing"),
        ({"": TABLE}, (Tensor("x", "FP32", (-1, 3)),), "has shape [any, 3], got [3, 2]"),
        ({"": TABLE}, (Tensor("x", "INT8", (-1, 2)),), "INT8, which cannot hold 4.5"),
        ({"": TABLE * 1e39}, (Tensor("x", "FP32", (-1, 2)),), "FP32, which cannot hold 1e+39"),
        ({"": np.array([[np.nan, 1]])}, (Tensor("x", "INT64", (-1, 2)),), "INT64, which cannot hold nan"),
        (
            {"": np.array([["a", "b"]], object)},
            (Tensor("x", "FP32", (-1, 2)),),
            "input 'x' at [0]: 'a' is not",
        ),
        (
            {"a": np.array([1.0]), "kind": np.array(["x"], object)},
            (Tensor("x", "FP32", (-1, 2)),),
            "row 0, column 'kind': 'x' is not a number; if these are the labels, add --label kind",
        ),
        (
            {"x": TABLE, "z": TABLE[:2]},
            (Tensor("x", "FP32", (-1, 2)), Tensor("z", "FP32", (-1, 2))),
            "different row counts: x has 3, z has 2",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, Any], inputs: tuple[Tensor, ...], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        fit(Rows(arrays), inputs, "rows")

    assert problem in str(caught.value)


def test_an_archive_that_unpacks_to_far_more_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_UNPACKED", 2**20)
    np.savez_compressed(tmp_path / "bomb.npz", features=np.zeros((2**18, 2)))
    np.savez(tmp_path / "large.npz", features=np.zeros((2**18, 2)))

    with pytest.raises(InvalidData, match=r"unpacks to 4\.0 MiB, of which at most 1\.0 MiB are read"):
        read(tmp_path / "bomb.npz")
    assert read(tmp_path / "large.npz").arrays["features"].shape == (2**18, 2)


@pytest.mark.parametrize("name", ["array.npz", "archive.npy"])
def test_a_numpy_file_with_the_other_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        np.save(file, TABLE) if name == "array.npz" else np.savez(file, a=TABLE)

    with pytest.raises(InvalidData, match="name it"):
        read(tmp_path / name)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidData, match="different row counts"):
        fit(Rows({"a": np.ones(2), "b": np.ones(3)}), MATRIX, "rows")


def test_columns_of_texts_are_one_input() -> None:
    columns = Rows({"a": np.array(["x"], object), "b": np.array(["y"], object)})

    assert fit(columns, (Tensor("words", "BYTES", (-1, 2)),), "rows")["words"].tolist() == [["x", "y"]]


@pytest.mark.parametrize(("width", "expected"), [(1, [[1.0], [2.0]]), (2, [[1.0, 2.0]])])
def test_a_flat_array_is_the_only_column_or_the_only_row(width: int, expected: list[list[float]]) -> None:
    fitted = fit(Rows({"": np.array([1.0, 2.0])}), (Tensor("x", "FP32", (-1, width)),), "rows")

    assert fitted["x"].tolist() == expected


def test_texts_of_the_command_line() -> None:
    assert parse(["red,2,2.5"]).arrays[""].tolist() == [["red", 2, 2.5]]


def test_labels_must_be_as_many_as_the_rows() -> None:
    with pytest.raises(InvalidData, match="x has 3, y has 2"):
        fit(Rows({"x": TABLE}, np.array([0, 1])), (Tensor("x", "FP32", (-1, 2)),), "rows")


def test_precision_can_be_kept() -> None:
    rows = Rows({"": np.array([[0.1, 0.2]])})

    assert fit(rows, MATRIX, "rows")["features"].dtype == np.float32
    assert fit(rows, MATRIX, "rows", keep_precision=True)["features"].tolist() == [[0.1, 0.2]]


def test_drawn_rows_fit_the_signature_and_are_the_same_each_time() -> None:
    inputs = (
        Tensor("floats", "FP64", (-1, 3)),
        Tensor("flags", "BOOL", (-1,)),
        Tensor("texts", "BYTES", (-1, -1)),
        Tensor("fixed", "INT8", (2, 2)),
        Tensor("rank 0", "FP32", ()),
    )

    drawn = draw(inputs, 5)

    assert {name: array.shape for name, array in drawn.items()} == {
        "floats": (5, 3), "flags": (5,), "texts": (5, 16), "fixed": (2, 2), "rank 0": (),
    }  # fmt: skip
    np.testing.assert_array_equal(drawn["floats"], drawn["floats"].astype(np.float32))
    assert all((drawn[name] == again).all() for name, again in draw(inputs, 5).items())


FRAME = (Tensor("age", "FP32", (-1, 1)), Tensor("city", "BYTES", (-1, 1)), Tensor("grade", "INT64", (-1, 1)))


def test_a_table_is_fitted_to_an_input_for_each_column(tmp_path: Path) -> None:
    """Other columns are left out; a missing text is empty, a missing number NaN."""
    table = read(write(tmp_path / "a.csv", "city,extra,age,grade\nUlm,1,40,2\n,2,,3\n"))

    fitted = fit(table, FRAME, "a.csv")

    assert list(fitted) == ["age", "city", "grade"]
    np.testing.assert_array_equal(fitted["age"], np.array([[40], [np.nan]], np.float32))
    assert fitted["city"].tolist() == [["Ulm"], [""]]
    assert fitted["grade"].tolist() == [[2], [3]]


@pytest.mark.parametrize("columns", [None, ["id", "age", "city", "grade"]])
def test_rows_without_names_are_in_the_order_of_the_columns(columns: list[str] | None) -> None:
    row = [40, None, 2] if columns is None else ["id7", 40, None, 2]

    fitted = fit(Rows({"": np.array([row], object)}), FRAME, "rows", columns)

    assert [array.tolist() for array in fitted.values()] == [[[40.0]], [[""]], [[2]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.0, np.nan, 2.5]), ["1", "", "2.5"]),
        (np.array([7, 8]), ["7", "8"]),
        (np.array(["a", None, float("nan")], object), ["a", "", ""]),
    ],
)
def test_values_of_a_text_input_are_texts(values: Any, expected: list[str]) -> None:
    assert fit(Rows({"code": values}), (Tensor("code", "BYTES", (-1,)),), "rows")["code"].tolist() == expected


def test_codes_with_leading_zeros_are_texts(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", "zip,month\n01067,01\n89073,12\n"))
    zips, months = Tensor("zip", "BYTES", (-1, 1)), Tensor("month", "FP32", (-1, 1))

    fitted = fit(table, (zips, months), "a.csv")

    assert fitted["zip"].tolist() == [["01067"], ["89073"]]
    assert fitted["month"].tolist() == [[1], [12]]


@pytest.mark.parametrize("quote", ['"', ""])
def test_texts_of_a_single_column_may_have_commas(tmp_path: Path, quote: str) -> None:
    table = read(write(tmp_path / "a.csv", f"text\n{quote}one, two,three{quote}\nfour\n"))

    fitted = fit(table, (Tensor("text", "BYTES", (-1,)),), "a.csv")

    assert fitted["text"].tolist() == ["one, two,three", "four"]


@pytest.mark.parametrize("inputs", [FRAME, MATRIX], ids=["frame", "matrix"])
def test_says_which_columns_are_missing(inputs: tuple[Tensor, ...]) -> None:
    rows = Rows({name: np.ones(2) for name in ("age", *(f"extra {number}" for number in range(12)))})

    with pytest.raises(InvalidData) as caught:
        fit(rows, inputs, "rows", ["age", "city", "grade"])

    others = ", ".join(f"extra {number}" for number in range(10))
    assert caught.value.problem == f"columns are missing: city, grade; found instead: {others} and 2 more"


class NAType:
    """What pandas calls the class of its missing value, which is neither true nor false."""

    def __ne__(self, other: object) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


def test_missing_values_and_truth_of_pandas_are_numbers() -> None:
    rows = Rows(
        {
            "a": np.array([True, NAType(), False], object),
            "b": np.array(["True", "", "false"], object),
            "c": np.array([1, None, "2"]),
        }
    )

    fitted = fit(rows, (Tensor("x", "FP32", (-1, 3)),), "rows")

    np.testing.assert_array_equal(fitted["x"], np.array([[1, 1, 1], [np.nan] * 3, [0, 0, 2]], np.float32))


def test_says_which_row_and_column_is_not_a_number() -> None:
    rows = Rows({"age": np.array([1, "old"], object), "city": np.array(["Ulm", "Ulm"]), "grade": np.array([1, 2])})

    with pytest.raises(InvalidData, match=r"row 1, column 'age': 'old' is not a number$"):
        fit(rows, FRAME, "rows")

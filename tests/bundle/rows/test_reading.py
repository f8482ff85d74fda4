import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows import reading
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import parse, read

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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "a,b\n1,NA\nnan,4\n"),
        ("rows.jsonl", '{"a":1}\n{"b":4}\n'),
        ("rows.jsonl", '{"a":1,"b":null}\n{"a":null,"b":4}\n'),
    ],
)
def test_what_pandas_takes_for_missing_is_missing(tmp_path: Path, name: str, content: str) -> None:
    rows = read(write(tmp_path / name, content))

    np.testing.assert_array_equal(fit(rows, MATRIX, name)["features"], [[1, np.nan], [np.nan, 4]])


def test_numbers_are_written_as_in_a_csv_file_of_pandas(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "rows.csv", "a,b\n1_000,1e3\n2,2\n"))

    assert rows.arrays["a"].tolist() == ["1_000", "2"]
    assert rows.arrays["b"].tolist() == [1000.0, 2.0]


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
        ("rows.jsonl", '{"a":1}\n[2]\n', None, "row 1: expected an object"),
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


@pytest.mark.parametrize(
    ("name", "problem"), [("missing.csv", "does not exist"), ("folder.csv", "contains no pictures")]
)
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


def test_an_archive_that_unpacks_to_far_more_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_UNPACKED", 2**20)
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


def test_texts_of_the_command_line() -> None:
    assert parse(["red,2,2.5"]).arrays[""].tolist() == [["red", 2, 2.5]]


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

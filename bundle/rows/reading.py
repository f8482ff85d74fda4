"""
Read rows from a file or the command line.

| file | holds |
| --- | --- |
| `.npz` | an array for each input; labels as `y` |
| `.npy` | the array of the only input |
| `.csv` | a column for each feature; the first line is the header unless it holds only numbers; an empty field is NaN,
           and so is what pandas takes for missing among numbers; fields with leading zeros are texts; a file of one
           column may have commas in its texts |
| `.parquet` | a column for each feature, see `parquet.py` |
| `.jsonl` | a row on each line: a list, or an object by input or column, where a missing key is a missing value |
| `.json` | the same rows as one list, or as `{"rows": [...]}` |
| a folder | pictures, with a subfolder for each class if they have classes |

No file is unpickled. A missing text is the empty text.
"""

import csv
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.parquet import MAX_UNPACKED, read_parquet
from snooze.bundle.rows.values import Array, Arrays, is_number, to_number
from snooze.bundle.units import format_size

UNNAMED: Final = ""  # the name of an array that belongs to the model's only input
LABELS: Final = "y"
UNREADABLE: Final = (
    OSError, ValueError, EOFError, RecursionError, MemoryError, NotImplementedError, csv.Error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


class Rows(NamedTuple):
    """
    Arrays by input, or by column of a table, with the rows along their first axis; and a label for each row.

    Pictures are `raw` instead: the content of a file each, read when it is asked for. `classes` are the names of their
    folders. `notes` are warnings for the user.
    """

    arrays: Arrays
    labels: Array | None = None
    raw: Sequence[bytes] | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read(path: Path, label: str | None = None) -> Rows:
    """
    Return the rows of a file.

    Args:
        path: the file, whose suffix names the format, or the folder.
        label: the column of a table (the array of an `.npz`) that holds the labels.

    Raises:
        InvalidData: the file cannot be read, has no rows or no such column.
    """
    where = str(path)
    if path.is_dir():
        from snooze.bundle.rows.pictures import read_folder

        if label is not None:
            raise InvalidData("--label", "pictures have no columns; put those of each class into a folder of its name")
        found = read_folder(path)
        return Rows({}, found.labels, found.pictures, found.classes, found.notes)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        expected = f"a file of rows ({', '.join(READERS)}) or a folder of pictures"
        raise InvalidData(where, f"expected {expected}, got {path.suffix or 'no suffix'!r}")
    if not path.is_file():
        raise InvalidData(where, "does not exist")
    try:
        arrays = reader(path)
    except UNREADABLE as error:
        raise InvalidData(where, _describe(error)) from None
    if not any(array.size for array in arrays.values()):
        raise InvalidData(where, "contains no rows")
    if label is not None and label not in arrays:
        names = ", ".join(name for name in arrays if name) or "none, for its columns have no names"
        raise InvalidData("--label", f"{path} has no column {label!r}; available: {names}")
    labels = arrays.pop(label or LABELS, None) if label or path.suffix.lower() == ".npz" else None
    return Rows(arrays, labels)


def parse(texts: Sequence[str]) -> Rows:
    """
    Return the rows of `--row` options: each `1.5,2,text`, or a JSON list.

    Raises:
        InvalidData: a row is not valid JSON, or the rows have different lengths.
    """
    rows = []
    for text in texts:
        try:
            rows.append(json.loads(text) if text.lstrip().startswith("[") else [_value(one) for one in text.split(",")])
        except (ValueError, RecursionError):
            raise InvalidData("--row", f"expected values like 1.5,2,3 or a JSON list, got {text[:80]!r}") from None
    return Rows({UNNAMED: _array(rows, "--row")})


def _read_npz(path: Path) -> Arrays:
    with path.open("rb") as file:  # opened here, for numpy leaves a damaged file open
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it contains a single array; name it .npy")
        claimed = sum(member.file_size for member in archive.zip.infolist())
        if claimed > max(MAX_UNPACKED, path.stat().st_size):
            raise ValueError(
                f"it unpacks to {format_size(claimed)}, of which at most {format_size(MAX_UNPACKED)} are read"
            )
        return {name: np.atleast_1d(archive[name]) for name in archive.files}


def _read_npy(path: Path) -> Arrays:
    with path.open("rb") as file:
        array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("it contains several arrays; name it .npz")
    return {UNNAMED: np.atleast_1d(array)}


def _read_csv(path: Path) -> Arrays:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        return {}
    first = 0 if all(map(is_number, lines[0])) else 1
    if first and len(lines[0]) == 1:  # texts with commas that are not quoted
        lines = [[",".join(line)] for line in lines]
    names = [name.strip() for name in lines[0]] if first else [str(index) for index in range(len(lines[0]))]
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise InvalidData(str(path), f"column {duplicate!r} is duplicated; give each column its own name")
    for number, line in enumerate(lines, 1):
        if len(line) != len(names):
            raise InvalidData(str(path), f"line {number} has {len(line)} fields, the first line {len(names)}")
    return {name: _column([line[index] for line in lines[first:]]) for index, name in enumerate(names)}


def _read_jsonl(path: Path) -> Arrays:
    lines = path.read_text("utf-8-sig").splitlines()
    return _from_json([json.loads(line) for line in lines if line.strip()], str(path))


def _read_json(path: Path) -> Arrays:
    document = json.loads(path.read_text("utf-8-sig"))
    rows = document.get("rows") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise InvalidData(str(path), 'expected a list of rows, or {"rows": [...]}')
    return _from_json(rows, str(path))


def _from_json(rows: list[Any], source: str) -> Arrays:
    if not rows or not isinstance(rows[0], dict):
        return {UNNAMED: _array(rows, source)}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidData(source, f"row {number}: expected an object, as the first row is")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _array([row.get(name) for row in rows], source) for name in names}


def _array(values: list[Any], source: str) -> Array:
    try:
        kinds = _kinds(values)
        if str not in kinds:  # None is a missing number
            return np.array(values, float if type(None) in kinds else None)
        array = np.array(values, object)
    except (ValueError, TypeError):
        raise InvalidData(source, "the rows have different lengths, or contain something else than numbers") from None
    return array


def _kinds(values: Any) -> set[type]:
    return set().union(*map(_kinds, values)) if isinstance(values, list) else {type(values)}


def _column(fields: list[str]) -> Array:
    """Return the fields of a column as numbers if all are, else as texts."""
    if all(map(is_number, fields)) and not any(map(_has_leading_zero, fields)):
        numbers = np.array([to_number(field) for field in fields])
        integers = (
            numbers.size and np.all(np.abs(numbers) < 2**53) and not any(set(field) & set(".eE") for field in fields)
        )
        return numbers.astype(np.int64) if integers else numbers
    return np.array([field.strip() for field in fields], object)


def _has_leading_zero(field: str) -> bool:
    """Return whether a field is rather a code than a number, such as 01067."""
    text = field.strip()
    return len(text) > 1 and text[0] == "0" and text.isdigit()


def _value(text: str) -> float | int | str:
    try:
        value = to_number(text)
    except ValueError:
        return text.strip()
    return int(value) if value.is_integer() and text.strip().lstrip("+-").isdigit() else value


def _describe(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if text.startswith("Object arrays"):
        return "contains Python objects, which are never unpickled; save arrays of numbers or fixed-width strings"
    if "pickle" in text:  # numpy suspects one in every file that it does not know
        return "is not a numpy file"
    if isinstance(error, RecursionError):
        return "cannot be read: it is nested too deeply"
    return f"cannot be read: {getattr(error, 'strerror', None) or text}"


READERS: Final[Mapping[str, Callable[[Path], Arrays]]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".parquet": read_parquet,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
}

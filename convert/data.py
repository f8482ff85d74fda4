"""
Rows from a file or from memory, checked against what a model takes.

Files: `.npz` (arrays by input name, labels as `y`; where the model has one input and the file one other array, its name
does not matter), `.npy` (the rows of the only input), `.csv` (a header, then numbers; an empty field is missing; the
labels in the column that `--label` names).
"""

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.convert.checks.cases import Array, Rows
from snooze.convert.errors import InvalidData

LABELS: Final = "y"
READS: Final = ".npz, .npy and .csv are read"
MOST_ROWS: Final = 20_000


def from_file(path: Path, inputs: tuple[Tensor, ...], columns: tuple[str, ...] | None, label: str | None) -> Rows:
    """
    Return the rows in a file.

    Args:
        path: the file.
        inputs: what the model takes.
        columns: the names of the features the model was trained on, if it knows them: they find their columns in a csv.
        label: the column of a csv that holds the labels.

    Raises:
        InvalidData: the file cannot be read, or its rows are not of the model's width or type.
    """
    readers = {".npz": _npz, ".npy": _npy}
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InvalidData(str(path), f"is a folder; {READS}" if path.is_dir() else "there is no such file")
    if suffix == ".csv":
        arrays, names = _csv(path, columns, label)
        return checked(arrays, inputs, str(path), names)
    if suffix not in readers:
        raise InvalidData(str(path), f"files of this kind are not read as rows; {READS}")
    if label is not None:
        raise InvalidData("--label", f"names a column of a .csv; in {path.name} labels are the array '{LABELS}'")
    try:
        arrays = readers[suffix](path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InvalidData(str(path), _why(error)) from None
    return checked(arrays, inputs, str(path), columns)


def checked(
    arrays: Mapping[str, Array], inputs: tuple[Tensor, ...], where: str, columns: tuple[str, ...] | None = None
) -> Rows:
    """
    Return arrays, with labels as `y`, as rows that fit `inputs`; of more than 20,000 that many, spread evenly.

    Raises:
        InvalidData: names the array that is missing, superfluous, or of another shape, type or number of rows.
    """
    given = dict(arrays)
    labels = given.pop(LABELS, None)
    if len(inputs) == 1 and len(given) == 1:
        given = {inputs[0].name: next(iter(given.values()))}
    wanted = [tensor.name for tensor in inputs]
    if sorted(given) != sorted(wanted):
        problem = f"expected arrays {', '.join(wanted)} (and labels as '{LABELS}'), got {', '.join(given) or 'none'}"
        raise InvalidData(where, problem)
    for tensor in inputs:
        _check_array(given[tensor.name], tensor, where)
    counts = {name: len(array) for name, array in given.items()} | ({} if labels is None else {LABELS: len(labels)})
    if len(set(counts.values())) > 1:
        raise InvalidData(where, "arrays differ in rows: " + ", ".join(f"{k} has {v}" for k, v in counts.items()))
    if min(counts.values()) == 0:
        raise InvalidData(where, "there are no rows in it")
    return Rows({name: given[name] for name in wanted}, labels, columns=columns).at_most(MOST_ROWS)


def _check_array(array: Array, tensor: Tensor, where: str) -> None:
    if array.dtype.kind not in "biuf":
        problem = f"input '{tensor.name}' takes {tensor.datatype}, the rows hold {array.dtype}"
        raise InvalidData(where, problem)
    if not tensor.datatype.startswith("FP") and not np.isfinite(array).all():
        raise InvalidData(where, f"input '{tensor.name}' takes {tensor.datatype}, which cannot be missing or infinite")
    _check_range(array, tensor, where)
    expected, got = tensor.shape[1:], array.shape[1:]
    if len(expected) != len(got) or any(want not in (-1, size) for want, size in zip(expected, got, strict=True)):
        shown = ", ".join("any" if size == -1 else str(size) for size in expected)
        raise InvalidData(where, f"input '{tensor.name}' takes rows of shape ({shown}), got {_shape(got)}")


def _check_range(array: Array, tensor: Tensor, where: str) -> None:
    dtype = DATATYPES[tensor.datatype]
    known = array[np.isfinite(array)]
    if dtype.kind == "b" or not known.size:
        return
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    for value in (float(known.max()), float(known.min())):
        if not float(limits.min) <= value <= float(limits.max):
            raise InvalidData(where, f"input '{tensor.name}' takes {tensor.datatype}, which cannot hold {value:g}")


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:  # ours to close: numpy leaves a damaged one open
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds one bare array; name it .npy")
        return {name: np.atleast_1d(archive[name]) for name in archive.files}


def _npy(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("it holds several arrays; name it .npz")
    return {"rows": np.atleast_1d(array)}


def _why(error: Exception) -> str:
    text = str(error)
    if text.startswith("Object arrays"):
        return "holds Python objects; save arrays of numbers"
    if "pickle" in text:  # what numpy suspects behind anything that it does not know
        return "is not a file of numpy"
    return f"cannot be read: {text}"


def _csv(path: Path, columns: tuple[str, ...] | None, label: str | None) -> tuple[dict[str, Array], tuple[str, ...]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidData(str(path), f"cannot be read as csv: {error}") from None
    if len(lines) < 2:
        raise InvalidData(str(path), "expected a line of column names and at least one row")
    header, body = [name.strip() for name in lines[0]], lines[1:]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        named = ", ".join(map(repr, twice))
        raise InvalidData(str(path), f"several columns are called {named}; give each column a name of its own")
    for number, line in enumerate(body, 2):
        if len(line) != len(header):
            raise InvalidData(str(path), f"line {number} has {len(line)} fields, the header {len(header)}")
    if label is not None and label not in header:
        raise InvalidData("--label", f"{path} has no column {label!r}; it has: {', '.join(header)}")
    features = [name for name in header if name != label]
    if columns is not None and set(columns) <= set(features):
        features = list(columns)
    places = [header.index(name) for name in features]
    rows = [[_number(line[at], path, number, header[at]) for at in places] for number, line in enumerate(body, 2)]
    arrays: dict[str, Array] = {"rows": np.array(rows, np.float64)}
    if label is not None:
        arrays[LABELS] = _labels([line[header.index(label)].strip() for line in body])
    return arrays, tuple(features)


def _number(text: str, path: Path, line: int, column: str) -> float:
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError:
        problem = f"line {line}, column {column!r}: {text!r} is not a number"
        raise InvalidData(str(path), f"{problem}; if these are the labels, add --label {column}") from None


def _labels(texts: list[str]) -> Array:
    """Return labels as whole numbers if all are, else as numbers, else as texts."""
    for kind in (int, float):
        try:
            return np.array([kind(text) for text in texts])
        except ValueError:
            continue
    return np.array(texts)

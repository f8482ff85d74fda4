"""
The rows that requests are made of: from a file, from the command line, from a bundle, or drawn from the signature.

Rows are arrays by input name; the one key "" stands for "the model's only input". `fit` makes them the model's.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from snooze.benchmarks.errors import InvalidData, unreadable
from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import BundleError

Rows = Mapping[str, NDArray[Any]]

ONLY: Final = ""
LABELS: Final = "y"
MOST_DRAWN: Final = 64


def read(path: Path, label: str | None = None) -> Rows:
    """
    Return the rows of an .npz, .npy, .csv or .jsonl file, or the golden inputs of a bundle's folder.

    `label` is the column of a .csv (or the key of a .jsonl) that is not an input; in an .npz it is always `y`.

    Raises:
        InvalidData: says what is wrong with the file.
    """
    if path.is_dir():
        return _from_bundle(path)
    reader = READERS.get(path.suffix)
    if reader is None:
        raise InvalidData(
            str(path), f"expected {', '.join(READERS)} or a bundle's folder, got {path.suffix or 'a file'!r}"
        )
    try:
        rows = reader(path, label)
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise unreadable(path, error) from None
    if not rows or any(not array.ndim or not len(array) for array in rows.values()):
        raise InvalidData(str(path), "there are no rows in it")
    return rows


def parse(texts: Sequence[str]) -> Rows:
    """
    Return the rows of `--row` options: numbers with commas between them, or one JSON array each.

    Raises:
        InvalidData: names the row that is neither.
    """
    values = []
    for text in texts:
        try:
            values.append(json.loads(text if text.lstrip().startswith("[") else f"[{text}]"))
        except ValueError:
            raise InvalidData("--row", f"expected numbers like 1.5,2,3 or a JSON array, got {text!r}") from None
    return {ONLY: _array(values, "--row")}


def draw(inputs: Sequence[Tensor], seed: int) -> Rows:
    """
    Return random rows that fit the signature: floats of a standard normal distribution, whole numbers 0 and 1.

    Raises:
        InvalidData: an input has variable dimensions beyond the rows, so nobody but the user knows its shape.
    """
    random = np.random.default_rng(seed)
    rows: dict[str, NDArray[Any]] = {}
    for tensor in inputs:
        if -1 in tensor.shape[1:]:
            raise InvalidData(
                f"input {tensor.name!r}", f"its shape {list(tensor.shape)} is variable; give rows with --data"
            )
        shape = tuple(MOST_DRAWN if size == -1 else size for size in tensor.shape)
        if tensor.datatype == "BYTES":
            rows[tensor.name] = np.full(shape, "text", object)
        elif tensor.datatype.startswith("FP"):
            rows[tensor.name] = random.standard_normal(shape).astype(DATATYPES[tensor.datatype])
        else:
            rows[tensor.name] = random.integers(0, 2, shape).astype(DATATYPES[tensor.datatype])
    return rows


def fit(rows: Rows, inputs: Sequence[Tensor], source: str) -> dict[str, NDArray[Any]]:
    """
    Return `rows` as the inputs of the model: by their names, with their datatypes, in their order.

    Args:
        source: where the rows come from, for the error.

    Raises:
        InvalidData: names the input that does not fit.
    """
    named = _named(rows, inputs, source)
    fitted = {tensor.name: _as_tensor(named[tensor.name], tensor, source) for tensor in inputs}
    lengths = {name: len(array) for name, array in fitted.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise InvalidData(source, f"every input needs the same number of rows, got {lengths}")
    return fitted


def _named(rows: Rows, inputs: Sequence[Tensor], source: str) -> Rows:
    names = [tensor.name for tensor in inputs]
    if set(names) <= set(rows):
        return rows
    if len(rows) == 1 and len(inputs) == 1:
        return {names[0]: next(iter(rows.values()))}
    if len(inputs) == 1 and all(array.ndim == 1 for array in rows.values()):
        return {names[0]: np.stack(list(rows.values()), axis=1)}  # the columns of a table are one matrix
    missing = [name for name in names if name not in rows]
    have = ", ".join(name or "one unnamed array" for name in rows)
    raise InvalidData(source, f"input {missing[0]!r} is missing; it holds {have}")


def _as_tensor(array: NDArray[Any], tensor: Tensor, source: str) -> NDArray[Any]:
    shape = array.shape
    if len(tensor.shape) == 2 and tensor.shape[1] == 1 and array.ndim == 1:
        array = array[:, np.newaxis]  # one column of a table
    if array.ndim != len(tensor.shape) or any(
        expected not in (-1, size) for expected, size in zip(tensor.shape[1:], array.shape[1:], strict=True)
    ):
        expected = str(list(tensor.shape)).replace("-1", "rows")
        raise InvalidData(source, f"input {tensor.name!r} is {expected}, got {list(shape)}")
    dtype = DATATYPES[tensor.datatype]
    if tensor.datatype == "BYTES":
        return array.astype(object)
    try:
        cast = array.astype(dtype)
    except (ValueError, TypeError, OverflowError):
        raise InvalidData(source, f"input {tensor.name!r} is {tensor.datatype}, got {array.dtype}") from None
    if dtype.kind in "iub" and not np.array_equal(cast.astype(np.float64), array.astype(np.float64)):
        raise InvalidData(source, f"input {tensor.name!r} is {tensor.datatype}, and some values do not fit into it")
    return cast


def _from_bundle(folder: Path) -> Rows:
    from snooze.bundle.samples import read_samples
    from snooze.bundle.store import latest
    from snooze.bundle.store import read as read_bundle

    try:
        found = latest(folder)
        return dict(read_samples(found.folder, read_bundle(found.folder)).inputs)
    except BundleError as error:
        raise InvalidData(str(folder), str(error)) from None


def _from_npz(path: Path, label: str | None) -> Rows:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name not in (LABELS, label)}


def _from_npy(path: Path, label: str | None) -> Rows:
    return {ONLY: np.load(path, allow_pickle=False)}


def _from_csv(path: Path, label: str | None) -> Rows:
    """Read a table. Its first line is a header unless all of it are numbers."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        return {}
    header = None if all(_is_number(field) for field in lines[0]) else lines.pop(0)
    names = header or [str(index) for index in range(len(lines[0]))]
    if label is not None and label not in names:
        raise InvalidData(str(path), f"there is no column {label!r}; there are: {', '.join(names)}")
    for number, line in enumerate(lines, start=2 if header else 1):
        if len(line) != len(names):
            raise InvalidData(str(path), f"row {number} has {len(line)} fields, expected {len(names)}")
    columns = {name: _column(list(field)) for name, field in zip(names, zip(*lines, strict=True), strict=False)}
    columns.pop(label or "", None)
    return columns


def _from_jsonl(path: Path, label: str | None) -> Rows:
    """Read one row per line: an array, or an object by input name."""
    values = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not values or not isinstance(values[0], dict):
        return {ONLY: _array(values, str(path))} if values else {}
    names = [name for name in values[0] if name not in (LABELS, label)]
    try:
        return {name: _array([value[name] for value in values], str(path)) for name in names}
    except (KeyError, TypeError):
        raise InvalidData(str(path), f"every line needs the keys of the first: {', '.join(names)}") from None


def _array(values: list[Any], source: str) -> NDArray[Any]:
    try:
        array = np.array(values)
    except ValueError:
        raise InvalidData(source, "all rows need the same shape") from None
    return array.astype(object) if array.dtype.kind in "OU" else array


def _column(fields: list[str]) -> NDArray[Any]:
    if all(_is_number(field) for field in fields):
        return np.array([float(field) for field in fields])
    return np.array(fields, object)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


READERS: Final[Mapping[str, Callable[[Path, str | None], Rows]]] = {
    ".npz": _from_npz,
    ".npy": _from_npy,
    ".csv": _from_csv,
    ".jsonl": _from_jsonl,
}

"""
Rows for a model: read from a file or the command line, fitted to a signature, or drawn from it.

| file | holds |
| --- | --- |
| `.npz` | an array for each input; labels as `y` |
| `.npy` | the array of the only input |
| `.csv` | a column for each feature; the first line is the header unless it holds only numbers; an empty field is NaN;
           fields with leading zeros are texts; a file of one column may have commas in its texts |
| `.jsonl` | a row on each line: a list, or an object by input or column |
| `.json` | the same rows as one list, or as `{"rows": [...]}` |

No file is unpickled. A missing text is the empty text.
"""

import csv
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData
from snooze.bundle.units import format_size

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

UNNAMED: Final = ""  # the name of an array that belongs to the model's only input
LABELS: Final = "y"
MAX_UNPACKED: Final = 4 * 2**30  # bytes of a compressed .npz; a few megabytes may claim any number
MAX_LISTED: Final = 10  # names in an error
BOOLEANS: Final = {"true": 1.0, "false": 0.0}
DRAWN_ROWS: Final = 64
DRAWN_LENGTH: Final = 16  # of a variable dimension that is not the rows'
SEED: Final = 20261121
UNREADABLE: Final = (
    OSError, ValueError, EOFError, RecursionError, MemoryError, NotImplementedError, csv.Error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


class Rows(NamedTuple):
    """Arrays by input, or by column of a table, with the rows along their first axis; and a label for each row."""

    arrays: Arrays
    labels: Array | None = None


def read(path: Path, label: str | None = None) -> Rows:
    """
    Return the rows of a file.

    Args:
        path: the file; its suffix names the format.
        label: the column of a table (the array of an `.npz`) that holds the labels.

    Raises:
        InvalidData: the file cannot be read, has no rows or no such column.
    """
    where = str(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidData(where, f"expected a file of rows ({', '.join(READERS)}), got {path.suffix or 'no suffix'!r}")
    if not path.is_file():
        raise InvalidData(where, "is a folder, expected a file" if path.is_dir() else "does not exist")
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


def fit(
    rows: Rows,
    inputs: Sequence[Tensor],
    source: str,
    columns: Sequence[str] | None = None,
    keep_precision: bool = False,
    axes: Mapping[str, int | None] | None = None,
) -> Arrays:
    """
    Return rows as the inputs of a model: by their names, in their order, with their datatypes.

    Args:
        rows: rows of a file, of the command line or of the caller.
        inputs: the model's signature.
        source: where the rows come from, for the error.
        columns: the names of the features, if the model knows them: they pick and order the columns of a table.
        keep_precision: check that the values fit, but leave them in the datatype that they were given in.
        axes: the dimension of each input's rows, None if it has no rows; by default the first.

    Raises:
        InvalidData: an input is missing, or does not have the shape, datatype or number of rows that it must have.
    """
    arrays = _by_input(rows.arrays, inputs, source, columns)
    fitted = {}
    for tensor in inputs:
        given = _shaped(arrays[tensor.name], tensor, source)
        given = _texts(given) if tensor.datatype == "BYTES" else _numbers(given, tensor.name, source)
        converted = _converted(given, tensor, source)
        fitted[tensor.name] = given if keep_precision else converted
    axes = {name: 0 if array.ndim else None for name, array in fitted.items()} if axes is None else axes
    counts = {name: fitted[name].shape[axis] for name, axis in axes.items() if axis is not None}
    if rows.labels is not None:
        counts[LABELS] = len(rows.labels)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InvalidData(source, f"arrays have different row counts: {listed}")
    return fitted


def draw(inputs: Sequence[Tensor], count: int = DRAWN_ROWS, seed: int = SEED) -> Arrays:
    """
    Return random rows for a signature, the same for each call: standard normal floats, integers 0 and 1, short texts.

    A variable first dimension is given `count` rows, any other variable dimension 16 values. Floats are exact in
    single precision.
    """
    generator = np.random.default_rng(seed)
    arrays: Arrays = {}
    for tensor in inputs:
        shape = tuple(size if size >= 0 else DRAWN_LENGTH if axis else count for axis, size in enumerate(tensor.shape))
        dtype = DATATYPES[tensor.datatype]
        if dtype.kind == "O":
            arrays[tensor.name] = generator.choice(np.array(["red", "green", "blue"], object), shape)
        elif dtype.kind == "f":
            arrays[tensor.name] = np.asarray(generator.standard_normal(shape)).astype(np.float32).astype(dtype)
        else:
            arrays[tensor.name] = np.asarray(generator.integers(0, 2, shape)).astype(dtype)
    return arrays


def _by_input(arrays: Arrays, inputs: Sequence[Tensor], source: str, columns: Sequence[str] | None) -> Arrays:
    names = [tensor.name for tensor in inputs]
    if set(names) <= set(arrays):
        return arrays
    if len(arrays) == 1:
        only = next(iter(arrays.values()))
        if len(names) == 1:
            return {names[0]: only}
        if UNNAMED in arrays and only.ndim == 2:  # a table whose columns have no names
            known = columns if columns is not None and len(columns) == only.shape[1] else names
            if set(names) <= set(known) and len(known) == only.shape[1]:
                return dict(zip(known, only.T, strict=True))
    table = all(array.ndim == 1 for array in arrays.values())
    if len(names) == 1 and len(inputs[0].shape) != 1 and table:
        numbered = list(arrays) == [str(index) for index in range(len(arrays))]  # of a file without a header
        wanted = list(arrays) if columns is None or numbered else list(columns)
        _check_columns(wanted, arrays, source)
        return {names[0]: _matrix({name: arrays[name] for name in wanted}, inputs[0], source)}
    if table:
        _check_columns(names, arrays, source)
    missing = next(name for name in names if name not in arrays)
    found = _list([name or "an array without a name" for name in arrays])
    raise InvalidData(source, f"input '{missing}' is missing; expected {_list(names)}, got {found}")


def _check_columns(wanted: Sequence[str], arrays: Arrays, source: str) -> None:
    missing = [name for name in wanted if name not in arrays]
    if missing:
        others = _list([name for name in arrays if name not in wanted]) or "no others"
        raise InvalidData(source, f"columns are missing: {_list(missing)}; found instead: {others}")


def _list(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _matrix(columns: Arrays, tensor: Tensor, source: str) -> Array:
    """Return the columns of a table as one array, one row for each of the table."""
    if len({len(column) for column in columns.values()}) > 1:
        raise InvalidData(source, "arrays have different row counts")
    if tensor.datatype != "BYTES":
        advice = "; if these are the labels, add --label {}"
        columns = {name: _numbers(one, name, source, advice.format(name)) for name, one in columns.items()}
    return np.stack(list(columns.values()), axis=1)


def _numbers(column: Array, name: str, source: str, advice: str = "") -> Array:
    """Return texts, missing values, True and False as numbers. Raises InvalidData for a text that is not a number."""
    if column.dtype.kind in "biuf":
        return column
    numbers = np.empty(column.shape, np.float64)
    for place, value in np.ndenumerate(column):
        if _is_missing(value):
            numbers[place] = np.nan
        elif isinstance(value, str) and value.lower() in BOOLEANS:
            numbers[place] = BOOLEANS[value.lower()]
        elif _is_number(value):
            numbers[place] = float(value)
        else:
            wide = column.ndim > 1 and column.shape[1:] != (1,)
            where = f"input '{name}' at {list(place[1:])}" if wide else f"column '{name}'"
            raise InvalidData(source, f"row {place[0]}, {where}: {value!r} is not a number{advice}")
    return numbers


def _texts(column: Array) -> Array:
    """Return values as texts: missing ones empty, numbers as they are written without a fraction of 0."""
    texts = np.empty(column.shape, object)
    for place, value in np.ndenumerate(column):
        if _is_missing(value):
            texts[place] = ""
        elif isinstance(value, float) and value.is_integer():
            texts[place] = str(int(value))
        else:
            texts[place] = value if isinstance(value, bytes) else str(value)
    return texts


def _shaped(array: Array, tensor: Tensor, source: str) -> Array:
    """Return an array in the shape of an input; one dimension may stand for the only column, row or value."""
    if array.shape == (1,) and not tensor.shape:
        array = array.reshape(())
    if array.ndim == 1 and len(tensor.shape) == 2 and tensor.shape[1] in (1, len(array)):
        array = array.reshape(-1, tensor.shape[1])
    if array.ndim == 2 and len(tensor.shape) == 1 and array.shape[1] == 1:
        array = array.reshape(-1)
    if array.ndim != len(tensor.shape) or any(
        expected not in (-1, size) for expected, size in zip(tensor.shape, array.shape, strict=True)
    ):
        expected = ", ".join("any" if size == -1 else str(size) for size in tensor.shape)
        raise InvalidData(source, f"input '{tensor.name}' has shape [{expected}], got {list(array.shape)}")
    return array


def _converted(array: Array, tensor: Tensor, source: str) -> Array:
    """Return an array with the datatype of an input, if that can hold all its values."""
    dtype = DATATYPES[tensor.datatype]
    if dtype.kind == "O":
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    lost = ~np.isfinite(converted) & np.isfinite(array) if dtype.kind == "f" else converted != array
    if np.any(lost):
        value = array[lost].flat[0]
        raise InvalidData(source, f"input '{tensor.name}' has datatype {tensor.datatype}, which cannot hold {value:g}")
    return converted


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
    first = 0 if all(map(_is_number, lines[0])) else 1
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
    names = list(rows[0])
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(names):
            raise InvalidData(source, f"row {number}: expected an object with {', '.join(names)}, as in the first row")
    return {name: _array([row[name] for row in rows], source) for name in names}


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
    if all(map(_is_number, fields)) and not any(map(_has_leading_zero, fields)):
        numbers = np.array([float(field) if field.strip() else np.nan for field in fields])
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
        value = float(text)
    except ValueError:
        return text.strip()
    return int(value) if value.is_integer() and text.strip().lstrip("+-").isdigit() else value


def _is_missing(value: object) -> bool:
    """Return whether a value is None, an empty text, NaN or the missing value of pandas."""
    if isinstance(value, str | float):
        return not value.strip() if isinstance(value, str) else value != value
    return value is None or type(value).__name__ == "NAType"


def _is_number(field: object) -> bool:
    if isinstance(field, str) and not field.strip():
        return True  # missing
    try:
        float(field)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


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
    ".jsonl": _read_jsonl,
    ".json": _read_json,
}

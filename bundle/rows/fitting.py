"""Fit rows to the signature of a model."""

from collections.abc import Mapping, Sequence

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import LABELS, UNNAMED, Rows
from snooze.bundle.rows.values import Array, Arrays, to_numbers, to_texts
from snooze.bundle.units import format_names


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
    if rows.raw is not None:
        raise InvalidData(source, "is a folder of pictures, expected a file of rows")
    arrays = _by_input(rows.arrays, inputs, source, columns)
    fitted = {}
    for tensor in inputs:
        given = _shaped(arrays[tensor.name], tensor, source)
        given = to_texts(given) if tensor.datatype == "BYTES" else to_numbers(given, tensor.name, source)
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
    found = format_names([name or "an array without a name" for name in arrays])
    raise InvalidData(source, f"input '{missing}' is missing; expected {format_names(names)}, got {found}")


def _check_columns(wanted: Sequence[str], arrays: Arrays, source: str) -> None:
    missing = [name for name in wanted if name not in arrays]
    if missing:
        others = format_names([name for name in arrays if name not in wanted]) or "no others"
        raise InvalidData(source, f"columns are missing: {format_names(missing)}; found instead: {others}")


def _matrix(columns: Arrays, tensor: Tensor, source: str) -> Array:
    """Return the columns of a table as one array, one row for each of the table."""
    if len({len(column) for column in columns.values()}) > 1:
        raise InvalidData(source, "arrays have different row counts")
    if tensor.datatype != "BYTES":
        advice = "; if these are the labels, add --label {}"
        columns = {name: to_numbers(one, name, source, advice.format(name)) for name, one in columns.items()}
    return np.stack(list(columns.values()), axis=1)


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

"""Which columns of a table a model takes, as far as its inputs and the user's file say so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.adapters.table import Column, ColumnType, load
from snooze.bundle.adapters.table import Declaration as Table
from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData, InvalidRow
from snooze.bundle.rows.reading import UNNAMED, Rows
from snooze.bundle.rows.values import Array, is_missing
from snooze.convert.adapters.raw_rows import raw_rows
from snooze.convert.frameworks.interface import Inputs

NO_MISSING: Final = "the graph answers rows with missing values differently; they are refused where --data has none"
TYPES: Final[dict[str, ColumnType]] = {"f": "number", "i": "integer", "u": "integer", "O": "text"}  # by numpy's kind


def find_table(inputs: Inputs, rows: Rows | None) -> Declaration | None:
    """
    Return the table of a model whose framework knows no columns, None if the user's rows do not name them.

    The columns of a file are those of the only input, or have the names of the inputs. A value may be missing where the
    file has none.
    """
    tensors = [one.tensor for one in inputs]
    if any(DATATYPES[one.datatype].kind not in TYPES for one in tensors) or any(one.axis != 0 for one in inputs):
        return None
    names = find_names(tensors, rows)
    if names is None or rows is None:
        return None
    if len(tensors) < len(names):
        tensors *= len(names)
    by_name = {one.name: one for one in tensors}
    return Table("table", tuple(_column(name, by_name.get(name, tensors[0]), rows.arrays[name]) for name in names))


def complete(table: Declaration, rows: Rows, source: str) -> Rows:
    """
    Return the rows of a table as they are fitted to inputs: with defaults for missing values, and codes for categories.

    Raises InvalidData if a value is not one of its column.
    """
    arrays = dict(rows.arrays)
    for column in table.columns:
        if column.name in arrays and (column.coded or column.default is not None):
            is_text = column.type == "text" and not column.coded
            part = Table("table", (column,))
            adapter = load(part, [Tensor(column.name, "BYTES" if is_text else "FP64", (-1,))], Path())
            try:
                arrays |= adapter.apply(raw_rows(part, rows, source) or [])
            except InvalidRow as error:
                raise InvalidData(source, str(error)) from None
    return rows._replace(arrays=arrays)


def forbid_missing(table: Declaration, raw: Sequence[Any] | None) -> Declaration:
    """Return a table in which only those columns may be missing that are in some of the user's raw rows."""
    seen = {name for row in raw or () for name, value in row.items() if value is None}
    columns = [column._replace(missing=column.missing and column.name in seen) for column in table.columns]
    return Table("table", tuple(columns), table.extra)


def holds_infinity(rows: Rows) -> bool:
    """Return whether a value is infinite, as none of a table is."""
    return any(array.dtype.kind == "f" and bool(np.isinf(array).any()) for array in rows.arrays.values())


def find_names(tensors: Sequence[Tensor], rows: Rows | None) -> tuple[str, ...] | None:
    """Return the names of the columns that make the inputs, None if the user's rows do not name them."""
    if rows is None or UNNAMED in rows.arrays or any(array.ndim != 1 for array in rows.arrays.values()):
        return None
    found = tuple(rows.arrays)
    if found == tuple(map(str, range(len(found)))):  # of a file without a header
        return None
    if len(tensors) == 1 and tensors[0].shape == (-1, len(found)):
        return found
    columns = all(one.shape in ((-1,), (-1, 1)) for one in tensors)
    names = tuple(one.name for one in tensors)
    return names if len(names) > 1 and columns and set(names) <= set(found) else None


def _column(name: str, tensor: Tensor, values: Array) -> Column:
    dtype = DATATYPES[tensor.datatype]
    missing = dtype.kind not in "iu" and any(map(is_missing, values.tolist()))
    return Column(name, TYPES[dtype.kind], missing=missing)

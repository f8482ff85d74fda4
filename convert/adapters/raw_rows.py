"""The user's rows as the raw rows of an adapter: pictures, texts, or objects with the columns of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.adapters.table import Column
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.pictures import Pictures
from snooze.bundle.rows.reading import Rows
from snooze.bundle.rows.values import Array, Arrays, to_numbers, to_texts


def raw_rows(declaration: Declaration, rows: Rows, source: str) -> Sequence[Any] | None:
    """
    Return the raw rows for an adapter, None if arrays stand for a table whose columns they do not name.

    A missing value of a table's column is its default, if it has one.

    Raises:
        InvalidData: they are something else than the adapter takes.
    """
    if declaration.kind == "image":
        if rows.raw is None:
            raise InvalidData(source, "expected a folder of pictures, because the adapter takes pictures")
        return rows.raw
    if rows.raw is not None:
        raise InvalidData(source, f"is a folder of pictures, but the adapter takes a {declaration.kind}")
    if declaration.kind == "text":
        return _texts(rows.arrays, source)
    return _table(declaration.columns, rows.arrays, source)


def _texts(arrays: Arrays, source: str) -> list[str]:
    texts = [array for array in arrays.values() if array.dtype.kind in "OU" and array.size == len(array)]
    if len(texts) != 1:
        found = ", ".join(arrays)
        raise InvalidData(source, f"expected one column of texts, got {len(texts)} (columns: {found})")
    return list(to_texts(texts[0].reshape(-1)))


def _table(columns: Sequence[Column], arrays: Arrays, source: str) -> "TableRows | None":
    names = [column.name for column in columns]
    if set(names) <= set(arrays):
        found = [arrays[name] for name in names]
        if any(array.size != len(array) for array in found):
            return None
    else:
        (first, *others) = arrays.values()
        if others or first.ndim != 2 or first.shape[1] != len(names):
            return None
        found = list(first.T)
    return TableRows({one.name: _typed(one, array, source) for one, array in zip(columns, found, strict=True)})


def _typed(column: Column, array: Array, source: str) -> Array:
    """Return the values of a column in its type: a file may have numbers where the model has texts."""
    array = array.reshape(-1)
    if column.type == "text":
        pairs = zip(array.tolist(), to_texts(array).tolist(), strict=True)
        texts = [text or _fill(column, is_empty=isinstance(value, str)) for value, text in pairs]
        return np.array([*texts, None], object)[:-1]
    numbers = to_numbers(array, column.name, source, f"; if these are the labels, add --label {column.name}")
    return numbers if column.default is None else np.where(np.isnan(numbers), float(column.default), numbers)


def _fill(column: Column, is_empty: bool) -> str | None:
    """Return what stands for a missing text, or for an empty one, which is missing where that is known."""
    return column.default or ("" if is_empty and not column.missing else None)


def find_file(raw: Sequence[Any], number: int) -> Path | None:
    """Return the file of a raw row, None if it has none of its own."""
    while isinstance(raw, Taken):
        raw, number = raw.origin(number)
    return raw.paths[number] if isinstance(raw, Pictures) else None


class Taken(Sequence[Any]):
    """Some of the raw rows, by their places."""

    def __init__(self, raw: Sequence[Any], places: Array) -> None:
        self._raw = raw
        self._places = places

    def origin(self, number: int) -> tuple[Sequence[Any], int]:
        """Return the sequence that a raw row was taken from, and its number there."""
        return self._raw, int(self._places[number])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        """Return a raw row, or some."""
        if isinstance(index, slice):
            return [self._raw[place] for place in self._places[index]]
        return self._raw[self._places[index]]


class TableRows(Sequence[dict[str, Any]]):
    """The rows of columns: objects of Python values, None where a value is missing."""

    def __init__(self, columns: Arrays) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Return a row, or some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return {name: _value(column, index) for name, column in self._columns.items()}


def _value(column: Array, index: int) -> Any:
    value = column[index]
    return None if value is None or value != value else getattr(value, "item", lambda: value)()

"""The user's rows as the raw rows of an adapter: pictures, texts, or objects with the columns of a table."""

from collections.abc import Sequence
from typing import Any, overload

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import Rows
from snooze.bundle.rows.values import Array, Arrays, is_missing, to_texts


def raw_rows(declaration: Declaration, rows: Rows, source: str) -> Sequence[Any] | None:
    """
    Return the raw rows for an adapter, None if arrays stand for a table whose columns they do not name.

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
    return _table([column.name for column in declaration.columns], rows.arrays)


def _texts(arrays: Arrays, source: str) -> list[str]:
    texts = [array for array in arrays.values() if array.dtype.kind in "OU" and array.size == len(array)]
    if len(texts) != 1:
        found = ", ".join(arrays)
        raise InvalidData(source, f"expected one column of texts, got {len(texts)} (columns: {found})")
    return list(to_texts(texts[0].reshape(-1)))


def _table(names: Sequence[str], arrays: Arrays) -> "TableRows | None":
    if set(names) <= set(arrays):
        columns = {name: arrays[name] for name in names}
        flat = all(array.size == len(array) for array in columns.values())
        return TableRows({name: array.reshape(-1) for name, array in columns.items()}) if flat else None
    (first, *others) = arrays.values()
    if others or first.ndim != 2 or first.shape[1] != len(names):
        return None
    return TableRows(dict(zip(names, first.T, strict=True)))


class Taken(Sequence[Any]):
    """Some of the raw rows, by their places."""

    def __init__(self, raw: Sequence[Any], places: Array) -> None:
        self._raw = raw
        self._places = places

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
    return None if is_missing(value) else getattr(value, "item", lambda: value)()

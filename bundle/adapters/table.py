"""
Rows of a table as inputs of a model.

A raw row is an object by column name, or a list in the order of the columns; of a table of one column also its value.

| type | values | missing |
| --- | --- | --- |
| `number` | numbers; true and false as 1 and 0, as pandas has them | null, NaN |
| `integer` | the same without a fraction: 5.0 is 5 | null, NaN |
| `text` | texts | null, NaN, and the empty text unless it is a category |

A missing value is the column's default, if it has one; else NaN or the empty text, which the model knows as missing.
The fields of a CSV file are these values as texts: missing where they are empty, or what pandas takes for missing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np

from snooze.bundle.adapters.interface import SEED, Array, Arrays, Estimate
from snooze.bundle.codec import show
from snooze.bundle.contract import Bundle, Length, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidContract, InvalidRow
from snooze.bundle.rows.values import BOOLEANS, NO_VALUE, to_number
from snooze.bundle.units import format_names

ColumnType = Literal["number", "integer", "text"]
Fields: TypeAlias = Mapping[str, Sequence[str]]  # of a CSV file, by column, as many for each

ROW: Final = "row"  # what errors call it
ACCEPTED: Final[dict[str, set[type]]] = {
    "number": {float, int, bool, NoneType},
    "integer": {float, int, bool, NoneType},
    "text": {str, NoneType},
}
EXPECTED: Final = {"number": "a number", "integer": "an integer", "text": "a text"}
KINDS: Final = {"number": "f", "integer": "iuf", "text": "O"}  # numpy's, of the inputs that take such values
DRAWN_TEXTS: Final = ("red", "green", "blue")
ROW_BYTES: Final = 80  # at the peak: a list for each row
VALUE_BYTES: Final = 48  # in that list, in one for the column, and in two arrays
LONG: Final = 20_000  # values that take about 3 ms


class Column(NamedTuple):
    """A column of a table."""

    name: str  # the column's name in requests and data files
    type: ColumnType  # what its values are
    categories: Annotated[tuple[str, ...], Length(1)] | None = None  # the values that the model knows, as CSV has them
    closed: bool = False  # refuse other values than the categories
    coded: bool = False  # the input is the value's position among the categories from 0, NaN for other values
    missing: bool = False  # a value may be missing
    default: str | None = None  # the value where it is missing, as CSV has it


class Declaration(NamedTuple):
    """Columns, in the order of the model's features, become one input each, or together the only input."""

    kind: Literal["table"]  # the kind of the adapter
    columns: Annotated[tuple[Column, ...], Length(1)]  # the columns in their order
    extra: Literal["refuse", "ignore"] = "refuse"  # what happens to other columns


def check(declaration: Declaration, bundle: Bundle) -> None:
    """Check that the model takes such columns. Raises InvalidContract."""
    load(declaration, bundle.inputs, Path())


def load(declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> "TableAdapter":
    """Return the adapter. Raises InvalidContract if a model with such inputs does not take these columns."""
    return TableAdapter(declaration, inputs)


class TableAdapter:
    """
    Takes rows of a table, and its columns as the fields of a CSV file.

    `is_matrix`: a list of numbers is a row of the model's only input, as it is.
    """

    kind = "table"
    tolerance = 0.0

    def __init__(self, declaration: Declaration, inputs: Sequence[Tensor]) -> None:
        self.input = None  # V1 and V2 send numbers and texts to the model's own inputs
        self.files: tuple[Path, ...] = ()
        self.columns = declaration.columns
        self.names = tuple(column.name for column in declaration.columns)
        self._known = frozenset(self.names)
        self._ignores_extra = declaration.extra == "ignore"
        self._tensors = _tensors(self.names, inputs)
        self._readers = [_Reader(*one) for one in zip(declaration.columns, self._tensors, strict=True)]
        is_matrix = len(self._tensors) > 1 and self._tensors[1] is self._tensors[0]
        self.is_matrix = is_matrix and all(reader.is_plain for reader in self._readers)

    def estimate(self, rows: Sequence[Any] | Fields) -> Estimate:
        """Return what rows, or the columns of a CSV file, take."""
        count = _count(rows) if isinstance(rows, Mapping) else len(rows)
        values = count * len(self.names)
        return Estimate(count * ROW_BYTES + values * VALUE_BYTES, values > LONG)

    def apply(self, rows: Sequence[Any] | Fields) -> Arrays:
        """
        Return the inputs of the model for rows, or for the columns of a CSV file.

        Raises:
            InvalidRow: names the row and the column.
        """
        if isinstance(rows, Mapping):
            return self.apply_columns(rows)
        lists = [self._list(number, row) for number, row in enumerate(rows)]
        if self.is_matrix and set(map(type, chain.from_iterable(lists))) <= {float, int}:
            with suppress(OverflowError), np.errstate(over="ignore"):
                table = np.array(lists, np.float64).astype(DATATYPES[self._tensors[0].datatype])
                if np.isfinite(table).all():
                    return {self._tensors[0].name: table}
        return self._join([reader.read([row[at] for row in lists]) for at, reader in enumerate(self._readers)])

    def apply_columns(self, columns: Fields) -> Arrays:
        """Return the inputs of the model for the fields of a CSV file, as `apply` does."""
        self._check_names(0, columns)
        absent = [""] * _count(columns)
        return self._join([one.read(one.parse(columns.get(one.name, absent))) for one in self._readers])

    def draw(self, count: int, seed: int = SEED) -> list[dict[str, Any]]:
        """Return made-up rows: categories, small numbers, colours."""
        generator = np.random.default_rng(seed)
        return [{reader.name: reader.draw(generator) for reader in self._readers} for _ in range(count)]

    def pack(self, row: Any) -> bytes:
        """Return a row as JSON."""
        return json.dumps(row, ensure_ascii=False).encode()

    def unpack(self, data: bytes) -> Any:
        """Return the row."""
        return json.loads(data)

    def _list(self, number: int, row: Any) -> list[Any]:
        """Return the values of a row in the order of the columns, None where one is missing."""
        if type(row) is dict:
            if row.keys() != self._known:
                self._check_names(number, row)
            return [row.get(name) for name in self.names]
        if type(row) is not list:
            if len(self.names) > 1:
                raise InvalidRow(ROW, number, f"expected an object or a list of {len(self.names)} values")
            return [row]
        if len(row) != len(self.names):
            expected = f"expected {len(self.names)} values ({format_names(self.names)})"
            raise InvalidRow(ROW, number, f"{expected}, got {len(row)}")
        return row

    def _check_names(self, number: int, given: Iterable[str]) -> None:
        found = set(given)
        for reader in self._readers:
            if reader.name not in found and not reader.may_miss:
                reader.refuse_missing(number)
        if found <= self._known or self._ignores_extra:
            return
        extra = next(name for name in given if name not in self._known)
        raise InvalidRow(ROW, number, f"is not a column of the model; expected {format_names(self.names)}", extra)

    def _join(self, columns: list[Array]) -> Arrays:
        first, rows = self._tensors[0], len(columns[0])
        if len(columns) > 1 and self._tensors[1] is first:
            table = np.empty((rows, len(columns)), DATATYPES[first.datatype])
            arrays, narrow = {first.name: table}, list(table.T)
        else:
            arrays = {one.name: np.empty((rows, *one.shape[1:]), DATATYPES[one.datatype]) for one in self._tensors}
            narrow = [arrays[one.name].reshape(rows) for one in self._tensors]
        with np.errstate(over="ignore"):
            for array, column in zip(narrow, columns, strict=True):
                array[:] = column
        for array in arrays.values():
            if array.dtype.kind == "f" and np.isinf(array).any():
                self._refuse_large(columns, narrow)
        return arrays

    def _refuse_large(self, columns: Sequence[Array], narrow: Sequence[Array]) -> NoReturn:
        """Raise InvalidRow for a number that is infinite in the datatype of its input."""
        at = next(at for at, array in enumerate(narrow) if array.dtype.kind == "f" and np.isinf(array).any())
        number = int(np.isinf(narrow[at]).argmax())
        expected = f"expected a number that {narrow[at].dtype} can hold"
        self._readers[at].refuse(number, f"{expected}, got {float(columns[at][number])!r}")


class _Reader:
    """
    Reads the values of one column as an array of an input's datatype.

    `may_miss`: a value may be missing. `is_plain`: any number is a value, as it is.
    """

    def __init__(self, column: Column, tensor: Tensor) -> None:
        place = f"adapter.columns.{column.name}"
        self.name = column.name
        self.may_miss = column.missing or column.default is not None
        self.is_plain = column.type == "number" and not column.closed and not column.coded
        self._type = column.type
        self._column = column
        self._dtype = DATATYPES[tensor.datatype]
        if self._dtype.kind not in ("f" if column.coded else KINDS[column.type]):
            raise InvalidContract(f"{place}.type", f"the input takes {tensor.datatype}, not {EXPECTED[column.type]}")
        self._categories = [self._value(text, f"{place}.categories") for text in column.categories or ()]
        self._known = frozenset(self._categories)
        self._default = None if column.default is None else self._value(column.default, f"{place}.default")
        self._codes = {value: code for code, value in enumerate(self._categories)} if column.coded else None
        if (column.closed or column.coded) and not self._known:
            raise InvalidContract(f"{place}.categories", "expected some, because the column is closed or coded")
        if column.closed and self._default is not None and self._default not in self._known:
            raise InvalidContract(f"{place}.default", f"expected one of the categories, got {show(column.default)}")
        if column.missing and self._default is None and self._dtype.kind in "iu":
            raise InvalidContract(f"{place}.missing", f"{tensor.datatype} has no missing value; expected a default")

    def read(self, values: list[Any]) -> Array:
        """Return values as an array, numbers in double precision. Raises InvalidRow."""
        wrong = set(map(type, values)) - ACCEPTED[self._type]
        if wrong == {float}:  # in a column of texts, where pandas has NaN for a missing one
            values = [None if value != value else value for value in values]
            wrong = set(map(type, values)) - ACCEPTED[self._type]
        if wrong:
            number = next(number for number, value in enumerate(values) if type(value) in wrong)
            self.refuse(number, f"expected {EXPECTED[self._type]}, got {show(values[number])}")
        array = self._read[self._type](self, values)
        if self._column.closed and not self._known.issuperset(array.tolist()):
            self._check_categories(array.tolist())
        if self._codes is not None:
            return np.array([self._codes.get(value, np.nan) for value in array.tolist()], np.float64)
        return array

    def parse(self, fields: Sequence[str]) -> list[Any]:
        """Return the fields of a CSV file as values. A field that is not of the column's type stays a text."""
        if self._type == "text":
            return [field if field in self._known else self._parse_text(field) for field in fields]
        parse = float if self._type == "number" else int
        try:
            if "_" not in "".join(fields):  # Python would read 1_000
                return [parse(field) if field else None for field in fields]
        except ValueError:
            pass
        return list(map(_parse_number, fields))

    def draw(self, generator: "np.random.Generator") -> Any:  # which takes 10 ms to import
        """Return a made-up value."""
        choices = [value for value in self._categories if value != ""]
        if choices:
            return choices[generator.integers(len(choices))]
        if self._type == "text":
            return DRAWN_TEXTS[generator.integers(len(DRAWN_TEXTS))]
        return int(generator.integers(10)) if self._type == "integer" else round(float(generator.normal()), 2)

    def refuse(self, number: int, problem: str) -> NoReturn:
        """Raise InvalidRow for a value of this column."""
        raise InvalidRow(ROW, number, problem, self.name)

    def refuse_missing(self, number: int) -> NoReturn:
        """Raise InvalidRow for a missing value of this column."""
        self.refuse(number, f"is missing; expected {EXPECTED[self._type]}")

    def _value(self, text: str, place: str) -> Any:
        """Return a category or the default. Raises InvalidContract if it is not of the column's type."""
        if self._type == "text":
            return text
        value = _parse_number(text)
        if isinstance(value, str) or not np.isfinite(value) or (self._type == "integer" and not value.is_integer()):
            raise InvalidContract(place, f"expected {EXPECTED[self._type]}, got {show(text)}")
        return int(value) if self._type == "integer" else value

    def _parse_text(self, field: str) -> str | None:
        """Return a field that is no category: as one without spaces around it, None if it is missing, or as it is."""
        if field.strip() in self._known:
            return field.strip()
        return None if not field or (self._known and field in NO_VALUE) else field

    def _read_numbers(self, values: list[Any]) -> Array:
        try:
            array = np.array(values, np.float64)  # None is NaN
        except OverflowError:
            number = next(number for number, value in enumerate(values) if type(value) is int and abs(value) >= 2**1023)
            self.refuse(number, "the integer is too large")
        finite = np.isfinite(array)
        if finite.all():
            return array
        infinite = np.isinf(array)
        if infinite.any():
            self.refuse(int(infinite.argmax()), "expected a finite number")
        if not self.may_miss:
            self.refuse_missing(int(finite.argmin()))
        if self._default is not None:
            array[~finite] = self._default
        return array

    def _read_integers(self, values: list[Any]) -> Array:
        if self._dtype.kind == "f":
            array = self._read_numbers(values)
            fractions = np.mod(array, 1) > 0
            if fractions.any():
                self._refuse_fraction(int(fractions.argmax()), array[fractions.argmax()])
            return array
        if set(map(type, values)) != {int}:
            values = [self._read_integer(number, value) for number, value in enumerate(values)]
        limits = np.iinfo(self._dtype)
        if values and not limits.min <= min(values) <= max(values) <= limits.max:
            number = next(number for number, value in enumerate(values) if not limits.min <= value <= limits.max)
            self.refuse(number, f"expected an integer from {limits.min} to {limits.max}, got {show(values[number])}")
        return np.array(values, self._dtype)

    def _read_integer(self, number: int, value: float | None) -> Any:
        if value is None or value != value:
            if self._default is None:
                self.refuse_missing(number)
            return self._default
        if type(value) is float and not value.is_integer():
            self._refuse_fraction(number, value)
        return int(value)

    def _refuse_fraction(self, number: int, value: float) -> NoReturn:
        self.refuse(number, f"expected an integer, got {float(value)!r}")

    def _read_texts(self, values: list[Any]) -> Array:
        if None in values:
            if not self.may_miss:
                self.refuse_missing(values.index(None))
            values = ["" if value is None else value for value in values]
        if self._default is not None and "" not in self._known:
            values = [value or self._default for value in values]
        array = np.empty(len(values), object)
        array[:] = values
        return array

    def _check_categories(self, values: list[Any]) -> None:
        for number, value in enumerate(values):
            if value not in self._known and not (self.may_miss and (value == "" or value != value)):
                shown = [show(one) for one in self._categories]
                self.refuse(number, f"expected one of {format_names(shown)}, got {show(value)}")

    _read: ClassVar = {"number": _read_numbers, "integer": _read_integers, "text": _read_texts}


def _tensors(names: Sequence[str], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the input that each column is, or is a part of. Raises InvalidContract if an input is missing."""
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise InvalidContract("adapter.columns", f"column {show(duplicate)} is duplicated")
    if len(inputs) == 1 and inputs[0].shape == (-1, len(names)):
        return [inputs[0]] * len(names)
    by_name = {tensor.name: tensor for tensor in inputs}
    if sorted(names) != sorted(by_name) or any(one.shape not in ((-1,), (-1, 1)) for one in inputs):
        expected = format_names([f"{tensor.name} {list(tensor.shape)}" for tensor in inputs])
        raise InvalidContract(
            "adapter.columns", f"the model has the inputs {expected}, which these columns do not make"
        )
    return [by_name[name] for name in names]


def _parse_number(field: str) -> float | str:
    """Return a field of a CSV file as a number, or itself if it is something else."""
    try:
        return BOOLEANS[field.strip().lower()] if field.strip().lower() in BOOLEANS else to_number(field)
    except ValueError:
        return field


def _count(columns: Fields) -> int:
    return len(next(iter(columns.values()), ()))

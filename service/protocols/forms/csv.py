"""
Rows as CSV: of a table, whose columns the adapter knows by name, or of the numbers of a model's only matrix.

UTF-8 with or without a byte order mark, commas, lines that end with LF or CRLF, fields in quotes. Empty lines are
skipped.
"""

import csv
import re
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from itertools import chain, islice
from math import isfinite, nan
from typing import Any, Final

from snooze.bundle.errors import InvalidRow
from snooze.service.errors import InvalidRequest
from snooze.service.messages import Call
from snooze.service.protocols.tensors import Signature, TensorSpec, brief, count, from_json

CHUNK_ROWS: Final = 256
INTEGER: Final = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")
UNUSUAL: Final = re.compile(rb'[^0-9eE+\-., \t\r\n"]')  # none of them is in a number
NUMBER: Final = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


def decode_csv(signature: Signature, body: bytes) -> Call:
    """
    Return the call of rows as CSV.

    Raises:
        InvalidRequest: the body is not CSV, has no rows, or has no header where one is needed.
        InvalidRow: a row has too few or too many fields, or one that is not a number.
        InvalidTensor: a number is out of range.
    """
    lines = _read_lines(body)
    first = next(lines, None)
    if first is None:
        raise InvalidRequest("expected at least one row of CSV, got none")
    if signature.adapter is not None:
        columns = _read_columns(signature.adapter, first, lines)
        return Call({}, signature.output_names, raw=columns)
    (spec,) = signature.inputs.values()
    values = _read_numbers(spec, first, lines, UNUSUAL.search(body) is None)
    shape = [len(values) // len(first), len(first)]
    return Call({spec.name: from_json(spec, shape, count(spec, shape), values)}, signature.output_names)


def _read_columns(adapter: Any, first: list[str], lines: Iterator[list[str]]) -> dict[str, list[str]]:
    """Return the fields of each column, by the names of the header; without one, in the order of the table."""
    header = [field.strip() for field in first]
    has_header = not set(header).isdisjoint(adapter.names)
    names = header if has_header else list(adapter.names)
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"column {brief(duplicate)} is duplicated in the header")
    if not has_header and all(column.type == "text" for column in adapter.columns):
        raise InvalidRequest(f"expected a header, because all columns are texts: {','.join(adapter.names)}")
    columns: list[list[str]] = [[] for _ in names]
    for _, rows in _chunks(lines if has_header else chain([first], lines), len(names)):
        for column, fields in zip(columns, zip(*rows, strict=True), strict=True):
            column += fields
    if not columns[0]:
        raise InvalidRequest("expected at least one row of CSV, got only a header")
    return dict(zip(names, columns, strict=True))


def _read_numbers(spec: TensorSpec, first: list[str], lines: Iterator[list[str]], is_plain: bool) -> list[float | int]:
    """
    Return the fields of all rows as one list of numbers.

    `is_plain`: there are only characters of which Python reads the same numbers as `NUMBER`.
    """
    if not any(map(NUMBER.fullmatch, first)):
        problem = f"expected numbers, got {brief(first[0])}; this model has no names of columns: send no header"
        raise InvalidRow("row", 0, problem)
    convert = int if spec.kind in "iu" else float
    values: list[float | int] = []
    for number, rows in _chunks(chain([first], lines), len(first) if spec.shape[1] == -1 else spec.shape[1]):
        try:
            parsed = list(map(convert, chain.from_iterable(rows))) if is_plain else [nan]
        except ValueError:
            parsed = [nan]
        if not isfinite(sum(parsed)):
            parsed = [
                _parse(convert, number + at, place, field)
                for at, row in enumerate(rows)
                for place, field in enumerate(row)
            ]
        values += parsed
    return values


def _parse(convert: type[int] | type[float], number: int, place: int, field: str) -> float | int:
    """Return a field as a number. Raises InvalidRow."""
    pattern, expected = (INTEGER, "an integer") if convert is int else (NUMBER, "a number")
    value = convert(field) if pattern.fullmatch(field) else nan
    if not isfinite(value):
        raise InvalidRow("row", number, f"expected {expected}, got {brief(field)}", str(place))
    return value


def _chunks(lines: Iterator[list[str]], width: int) -> Iterator[tuple[int, list[list[str]]]]:
    """Yield some rows of `width` fields at a time, and the number of the first. Raises InvalidRow."""
    number = 0
    while rows := list(islice(lines, CHUNK_ROWS)):
        for at, fields in enumerate(rows):
            if len(fields) != width:
                raise InvalidRow("row", number + at, f"expected {width} fields, got {len(fields)}")
        yield number, rows
        number += len(rows)


def _read_lines(body: bytes) -> Iterator[list[str]]:
    """Yield the fields of each line that is not empty."""
    # Not as one text: that would be a list of lines, or four bytes for each character.
    reader: Any = csv.reader(TextIOWrapper(BytesIO(body), "utf-8-sig", newline=""), strict=True)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise InvalidRequest(f"line {reader.line_num} of the CSV: {error}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"the CSV is not UTF-8 (after line {reader.line_num})") from None

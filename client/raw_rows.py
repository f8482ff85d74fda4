"""The user's rows as requests of the plain protocol, for a model whose adapter takes pictures, texts or a table."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.pictures import SUFFIXES
from snooze.bundle.rows.reading import UNNAMED, parse, read
from snooze.bundle.rows.values import Array, is_missing
from snooze.client.exchange import Payload


def encode_raw(
    kind: str, rows: Sequence[str] | None, data: Path | None, label: str | None = None
) -> Iterator[Payload] | None:
    """
    Return requests with the rows of `--row` or `--data`; None if these are rows of the model's own inputs.

    Args:
        kind: the adapter's.
        rows: those of `--row`: a text each, or the fields of a row of the table.
        data: a picture or a folder of pictures, a file of texts, or a table.
        label: the column of `data` that is not an input.

    Raises:
        InvalidData: the file cannot be read.
    """
    if kind == "image":
        return _encode_pictures(data)
    if kind == "text":
        texts = list(rows) if rows else _read_texts(data, label)
        return None if texts is None else iter([_json({"texts": texts})])
    return iter([_encode_table(rows, data, label)])


def _encode_pictures(data: Path | None) -> Iterator[Payload] | None:
    """Return a request for each picture: those of a folder may be larger together than the server takes."""
    if data is None or not (data.is_dir() or data.suffix.lower() in SUFFIXES):
        return None
    pictures = read(data).raw if data.is_dir() else [_read_bytes(data)]
    return (Payload(picture, {"Content-Type": "application/octet-stream"}) for picture in pictures or ())


def _read_texts(data: Path | None, label: str | None) -> list[str] | None:
    """Return the texts of a file: all of a `.txt`, the only column of others; None if it has no texts."""
    assert data is not None
    if data.suffix.lower() == ".txt":
        return [_read_text(data)]
    (array, *others) = read(data, label).arrays.values()
    if others or array.dtype.kind not in "OU" or array.size != len(array):
        return None
    return ["" if is_missing(value) else str(value) for value in array.reshape(-1).tolist()]


def _encode_table(rows: Sequence[str] | None, data: Path | None, label: str | None) -> Payload:
    """Return rows as CSV if that is what they are: the server knows which fields are numbers, and which are missing."""
    if rows is not None:
        if any(row.lstrip().startswith("[") for row in rows):
            return _json({"rows": parse(rows).arrays[UNNAMED].tolist()})
        return _csv("\n".join(rows))
    assert data is not None
    if data.suffix.lower() == ".csv":
        return _csv(_read_csv(data, label))
    columns = {name: _to_json(array) for name, array in read(data, label).arrays.items()}
    if UNNAMED in columns:
        return _json({"rows": columns[UNNAMED]})
    return _json({"rows": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]})


def _read_csv(data: Path, label: str | None) -> str:
    """Return the text of a CSV file without the column of the labels."""
    text = _read_text(data)
    if label is None:
        return text
    try:
        lines = [line for line in csv.reader(StringIO(text, newline="")) if line]
        place = lines[0].index(label)
        for line in lines:
            del line[place]
    except (csv.Error, ValueError, IndexError):
        raise InvalidData("--label", f"{data} has no column {label!r} in each line") from None
    written = StringIO(newline="")
    csv.writer(written).writerows(lines)
    return written.getvalue()


def _to_json(array: Array) -> list[Any]:
    """Return values as JSON has them, null where one is missing."""
    values: list[Any] = array.tolist()
    return [None if is_missing(value) else value for value in values]


def _read_text(path: Path) -> str:
    try:
        return str(_read_bytes(path), "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(str(path), f"is not UTF-8 (byte {error.start})") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidData(str(path), f"cannot be read: {error.strerror}") from None


def _csv(text: str) -> Payload:
    return Payload(text.encode(), {"Content-Type": "text/csv"})


def _json(document: Any) -> Payload:
    return Payload(json.dumps(document).encode(), {"Content-Type": "application/json"})

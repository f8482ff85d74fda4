"""
Raw rows in JSON and in tensors: what an adapter makes a model's inputs of.

A text is a string, a picture is a string of base64; both may be `{"b64": "..."}`, and each of these may be in an object
under the name of the adapter's input. Any other value is a row of the model's own inputs.
"""

import struct
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any, Final

from snooze.bundle.errors import InvalidRow
from snooze.service.errors import InvalidRequest, InvalidTensor
from snooze.service.protocols.tensors import Array, Signature, TensorSpec, brief

BASE64: Final = {"b64"}
WHAT: Final = {"image": "picture", "text": "text"}  # what an error calls a raw row


def read_rows(signature: Signature, rows: list[Any]) -> list[Any] | None:
    """
    Return the raw rows in a list of at least one JSON value; None if these are rows of the model's own inputs.

    Raises:
        InvalidRow: a row is not what the first one is.
    """
    adapter = signature.adapter
    assert adapter is not None
    if adapter.kind == "table":
        return rows
    name = next(iter(signature.inputs)) if signature.raw is None else signature.raw.name
    if not _is_raw(rows[0], adapter.kind, name):
        return None
    for number, row in enumerate(rows):  # in place: a string of base64 is not needed beside its picture
        rows[number] = _read(row[name] if type(row) is dict and row.keys() == {name} else row, adapter.kind, number)
    return rows


def read_values(signature: Signature, document: dict[str, Any], by_column: bool) -> list[Any] | None:
    """
    Return the raw rows of a request of V1; None if it has the model's own inputs. Errors as of `read_rows`.

    Raises:
        InvalidRequest: it has both.
        InvalidTensor: it has no rows.
    """
    assert signature.raw is not None
    name = signature.raw.name
    rows = document["inputs" if by_column else "instances"]
    if by_column and type(rows) is dict and name in rows:
        if len(rows) > 1:
            raise InvalidRequest(_describe_mixture(name))
        rows = rows[name]
        if type(rows) is not list or not rows:
            raise InvalidTensor(name, "expected a list of at least one value")
    return read_rows(signature, rows) if type(rows) is list and rows else None


def read_tensor(signature: Signature, feeds: Mapping[str, Array | list[bytes]]) -> list[Any]:
    """
    Return the raw rows in a request of V2 that has the adapter's input: strings of JSON, or bytes of a binary tensor.

    Raises:
        InvalidRequest: it has other inputs, too.
        InvalidTensor: there are no rows.
        InvalidRow: one is neither a picture nor a text.
    """
    assert signature.adapter is not None
    assert signature.raw is not None
    kind, name = signature.adapter.kind, signature.raw.name
    if len(feeds) > 1:
        raise InvalidRequest(_describe_mixture(name))
    values = feeds[name]
    if not len(values):
        raise InvalidTensor(name, "expected at least one value")
    if isinstance(values, list):
        return values if kind == "image" else [decode_text(value, number) for number, value in enumerate(values)]
    return [_read(value, kind, number) for number, value in enumerate(values.tolist())]


def split_strings(spec: TensorSpec, number: int, data: memoryview) -> list[bytes]:
    """Return the `number` strings of a binary tensor as bytes. Raises InvalidTensor."""
    strings: list[bytes] = []
    at = 0
    while at + 4 <= len(data) and len(strings) < number:
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        strings.append(bytes(data[at : at + size]))
        at += size
    if at != len(data) or len(strings) != number:
        problem = f"expected {number} strings, each after its length in 4 bytes; they do not fit {len(data)} bytes"
        raise InvalidTensor(spec.name, problem)
    return strings


def decode_text(data: bytes, number: int) -> str:
    """Return a text. Raises InvalidRow if it is not UTF-8."""
    try:
        return str(data, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRow("text", number, f"is not UTF-8 (byte {error.start})") from None


def _describe_mixture(name: str) -> str:
    return f"input '{name}' stands for all inputs of the model; send it alone"


def _is_raw(value: Any, kind: str, name: str) -> bool:
    if type(value) is dict:
        return value.keys() == BASE64 or name in value
    return type(value) is str or (kind == "text" and _is_list_of_text(value))


def _is_list_of_text(value: Any) -> bool:
    """Return whether a value is a text as shape [any, 1] has it."""
    return type(value) is list and len(value) == 1 and type(value[0]) is str


def _read(value: Any, kind: str, number: int) -> bytes | str:
    if kind == "text" and _is_list_of_text(value):
        value = value[0]
    encoded = value["b64"] if type(value) is dict and value.keys() == BASE64 else value
    if kind == "text" and encoded is value:
        if type(value) is not str:
            raise InvalidRow(WHAT[kind], number, f"expected a text, got {brief(value)}")
        return value
    try:
        data = a2b_base64(encoded, strict_mode=True)
    except (TypeError, ValueError) as error:
        raise InvalidRow(WHAT[kind], number, f"expected base64, got {brief(encoded)} ({error})") from None
    return data if kind == "image" else decode_text(data, number)

"""Requests that fit a model's signature and are as large as wanted, without an encoder: each value is the same text."""

import gzip
import json
from collections.abc import Mapping
from typing import Final

from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.client.exchange import HEADER_LENGTH

JSON_VALUES: Final = {"f": b"0.5", "i": b"300", "u": b"300", "b": b"true", "O": b'"ab"'}  # by numpy's kind
ZEROS: Final = {"f": b"0", "i": b"0", "u": b"0", "b": b"true", "O": b'""'}
TEXT: Final = b"ab"  # no two of it are shared in CPython, which keeps texts of one character once
MARGIN: Final = 4096  # bytes for names and shapes
INFER: Final = "/v2/models/{}/infer"


def post(bundle: Bundle, body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    """Return a request for predictions; `length` is announced instead of the body's."""
    size = len(body) if length is None else length
    head = [
        f"POST {INFER.format(bundle.name)} HTTP/1.1".encode(),
        b"Host: x",
        b"Content-Length: %d" % size,
        *lines,
        b"",
        body,
    ]
    return b"\r\n".join(head)


def json_body(bundle: Bundle, size: int, values: Mapping[str, bytes] = JSON_VALUES) -> bytes:
    """Return a JSON request of at most `size` bytes (but at least one row)."""
    texts = [(tensor, values[DATATYPES[tensor.datatype].kind]) for tensor in bundle.inputs]
    rows = max(1, (size - MARGIN) // sum((len(text) + 1) * values_per_row(tensor) for tensor, text in texts))
    tensors = []
    for tensor, text in texts:
        described = json.dumps(describe(tensor, rows)).encode()[:-1]
        tensors.append(described + b',"data":[' + (text + b",") * (rows * values_per_row(tensor) - 1) + text + b"]}")
    return b'{"inputs":[' + b",".join(tensors) + b"]}"


def binary_request(bundle: Bundle, size: int, text: bytes = TEXT, compressed: bool = False) -> bytes:
    """Return a request of binary tensors, of at most `size` bytes before it is compressed, answered in JSON."""
    parts = [
        (tensor, len(text).to_bytes(4, "little") + text if dtype.kind == "O" else bytes(dtype.itemsize))
        for tensor in bundle.inputs
        for dtype in [DATATYPES[tensor.datatype]]
    ]
    rows = max(1, (size - MARGIN) // sum(len(part) * values_per_row(tensor) for tensor, part in parts))
    tensors, tail = [], b""
    for tensor, part in parts:
        values = part * (rows * values_per_row(tensor))
        tensors.append(describe(tensor, rows) | {"parameters": {"binary_data_size": len(values)}})
        tail += values
    header = json.dumps({"inputs": tensors}).encode()
    lines = [f"{HEADER_LENGTH}: {len(header)}".encode()]
    body = header + tail
    if compressed:
        body = gzip.compress(body, 6)
        lines.append(b"Content-Encoding: gzip")
    return post(bundle, body, *lines)


def describe(tensor: Tensor, rows: int) -> dict[str, object]:
    """Return name, datatype and shape; a variable first dimension is `rows`, any other 1."""
    shape = [size if size >= 0 else 1 if axis else rows for axis, size in enumerate(tensor.shape)]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape}


def values_per_row(tensor: Tensor) -> int:
    """Return how many values a row of a tensor has."""
    product = 1
    for size in tensor.shape[1:]:
        product *= max(1, size)
    return product

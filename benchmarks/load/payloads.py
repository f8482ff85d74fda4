"""
Request bodies: rows of a model's inputs as an Open Inference (V2) request, JSON or binary, or as plain rows.

All bodies of a load are made before it begins, so that making them costs the load generator nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snooze.benchmarks.errors import InvalidData
from snooze.bundle.contract import Tensor

Protocol = Literal["v2", "predict"]
PROTOCOLS: Final[tuple[str, ...]] = get_args(Protocol)

MOST_BODIES: Final = 64
HEADER_LENGTH: Final = "Inference-Header-Content-Length"

Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body and the headers that describe it."""

    body: bytes
    headers: Mapping[str, str]


def batches(inputs: Inputs, tensors: Sequence[Tensor], rows: int, source: str) -> list[Inputs]:
    """
    Cut the inputs into requests of `rows` rows, at most 64 different ones; too few rows are used again.

    A model whose first dimension is fixed gets all rows at once.

    Raises:
        InvalidData: `rows` does not fit such a fixed dimension.
    """
    fixed = {tensor.shape[0] for tensor in tensors if tensor.shape and tensor.shape[0] != -1}
    size = fixed.pop() if fixed else rows
    if rows not in (1, size):
        raise InvalidData("--rows", f"the model takes exactly {size} rows at once, got {rows}")
    length = min((len(array) for array in inputs.values() if array.ndim), default=size)
    if length < size and size != rows:
        raise InvalidData(source, f"the model takes exactly {size} rows at once, got {length}")
    number = min(MOST_BODIES, max(1, length // size))
    return [
        {
            name: array.take(range(index * size, (index + 1) * size), axis=0, mode="wrap") if array.ndim else array
            for name, array in inputs.items()
        }
        for index in range(number)
    ]


def encode(inputs: Inputs, tensors: Sequence[Tensor], protocol: Protocol, binary: bool, source: str) -> Payload:
    """
    Return one request for these inputs.

    Raises:
        InvalidData: the protocol cannot carry them (several inputs in plain rows, NaN or infinity in JSON).
    """
    if protocol == "predict":
        if len(tensors) != 1:
            raise InvalidData("--protocol predict", f"carries one input, the model has {len(tensors)}; use v2")
        return _as_json(_nested(inputs[tensors[0].name], source))
    if binary:
        return _as_binary(inputs, tensors)
    return _as_json(
        {
            "inputs": [
                {
                    "name": tensor.name,
                    "shape": list(inputs[tensor.name].shape),
                    "datatype": tensor.datatype,
                    "data": _nested(inputs[tensor.name].ravel(), source),
                }
                for tensor in tensors
            ]
        }
    )


def _as_json(value: Any) -> Payload:
    return Payload(json.dumps(value, separators=(",", ":")).encode(), {"Content-Type": "application/json"})


def _as_binary(inputs: Inputs, tensors: Sequence[Tensor]) -> Payload:
    parts = [_raw(inputs[tensor.name], tensor) for tensor in tensors]
    described = [
        {
            "name": tensor.name,
            "shape": list(inputs[tensor.name].shape),
            "datatype": tensor.datatype,
            "parameters": {"binary_data_size": len(part)},
        }
        for tensor, part in zip(tensors, parts, strict=True)
    ]
    request = {"inputs": described, "parameters": {"binary_data_output": True}}
    header = json.dumps(request, separators=(",", ":")).encode()
    return Payload(
        b"".join([header, *parts]),
        {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))},
    )


def _raw(array: NDArray[Any], tensor: Tensor) -> bytes:
    if tensor.datatype != "BYTES":
        return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _nested(array: NDArray[Any], source: str) -> Any:
    """Return the array as lists. Floats have the shortest digits that mean the same float32, as people write them."""
    if array.dtype == object:
        texts = [text.decode() if isinstance(text, bytes) else str(text) for text in array.ravel()]
        return np.array(texts, object).reshape(array.shape).tolist()
    if array.dtype.kind != "f":
        return array.tolist()
    if not np.isfinite(array).all():
        raise InvalidData(source, "NaN and infinity cannot be written in JSON; use --binary or other rows")
    if array.dtype.itemsize == 8:
        return array.tolist()
    shortest = np.array([float(str(value)) for value in array.ravel()])
    return shortest.reshape(array.shape).tolist()

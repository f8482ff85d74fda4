"""Tensors as JSON Schema, and values drawn for examples: by the rules of `protocols/tensors.py`."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Final

import numpy as np

from snooze.service.openapi.schemas import COUNT, Schema, list_of
from snooze.service.protocols.tensors import Array, Signature, TensorSpec

FORMATS: Final = {"FP32": "float", "FP64": "double"}
MAX_DRAWN: Final = 4096  # values; an example of a large picture would be most of the document
DRAWN_SIZE: Final = 4  # of a variable dimension that is not the rows


def scalar(spec: TensorSpec) -> Schema:
    """Return the schema of one value."""
    if spec.kind == "b":
        return {"type": "boolean"}
    if spec.kind == "O":
        return {"type": "string"}
    if spec.kind == "f":
        limits = np.finfo(spec.dtype)
        schema = {"type": "number", "minimum": float(limits.min), "maximum": float(limits.max)}
        if spec.datatype in FORMATS:
            schema["format"] = FORMATS[spec.datatype]
        return schema
    integers = np.iinfo(spec.dtype)
    return {"type": "integer", "format": spec.datatype.lower(), "minimum": integers.min, "maximum": integers.max}


def nested(value: Schema, shape: Sequence[int]) -> Schema:
    """Return the schema of lists of values nested as `shape`, in which -1 is any size; of one value for no shape."""
    for size in reversed(shape):
        value = list_of(value, size)
    return value


def flat(spec: TensorSpec) -> Schema:
    """Return the schema of all values as one list."""
    return nested(scalar(spec), [-1 if -1 in spec.shape else prod(spec.shape)])


def sizes(spec: TensorSpec) -> Schema:
    """Return the schema of a shape that fits."""
    # Not `const`, which openapi-python-client then expects in the other positions, too.
    fitting = [COUNT if size == -1 else {"type": "integer", "minimum": size, "maximum": size} for size in spec.shape]
    return list_of(COUNT, len(fitting)) | ({"prefixItems": fitting} if fitting else {})


def draw(signature: Signature, seed: int = 0) -> dict[str, Array] | None:
    """
    Return an array of drawn values for each input, the same for a seed: one row, and 4 in other variable dimensions.

    None if there are so many values that nobody would read them.
    """
    return draw_tensors(signature.inputs.values(), 1, seed)


def draw_tensors(specs: Iterable[TensorSpec], rows: int, seed: int = 0) -> dict[str, Array] | None:
    """Return an array of drawn values for each tensor by the rules of `draw`, with so many rows."""
    generator = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for spec in specs:
        shape = [size if size != -1 else (DRAWN_SIZE if i else rows) for i, size in enumerate(spec.shape)]
        if prod(shape) > MAX_DRAWN:
            return None
        values: Array
        if spec.kind == "f":
            values = generator.uniform(0, 1, shape).round(2)
        elif spec.kind == "O":
            values = generator.choice(np.array(["one", "two", "three"], object), shape)
        else:
            values = generator.integers(0, 2, shape)  # 0 and 1 are in the vocabulary of every embedding
        arrays[spec.name] = values.astype(bool) if spec.kind == "b" else values
    return arrays

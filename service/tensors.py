"""
Tensors on the wire and in memory: JSON values or raw bytes to numpy and back, by the rules of Open Inference.

JSON may be nested or flat. Whole numbers do for floating point, nothing else is converted: no floats for integers,
no numbers for booleans, no strings for numbers, nothing that is out of range. Raw tensors are little-endian,
row-major and unpadded; strings stand as a 32-bit length and UTF-8.
"""

import contextvars
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.service.errors import InvalidTensor

Array: TypeAlias = NDArray[Any]

# What numpy may make of a JSON list, by the kind of the datatype it is meant for.
KINDS: Final = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "O": "U"}
EXPECTED: Final = {"f": "numbers", "i": "whole numbers", "u": "whole numbers", "b": "true or false", "O": "strings"}
FOUND: Final = {"f": "numbers with a fraction", "i": "numbers", "u": "numbers", "b": "true or false", "U": "strings"}
MAX_COUNT: Final = 2**40

# A cast that overflows must raise. A copy of a prepared context costs 0.1 us, `np.errstate` 1.5 us.
_RAISING: Final = contextvars.copy_context()
_RAISING.run(np.seterr, over="raise")


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor of a model's signature, with what decoding asks for again and again."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    kind: str


def slot(tensor: Tensor) -> Slot:
    """Return the slot of a tensor of the contract."""
    dtype = DATATYPES[tensor.datatype]
    return Slot(tensor.name, tensor.datatype, tensor.shape, dtype, dtype.kind)


def count(slot: Slot, shape: object) -> int:
    """
    Return the number of values of a tensor of `shape`.

    Raises:
        InvalidTensor: `shape` is not one that the model takes.
    """
    expected = slot.shape
    if type(shape) is not list or len(shape) != len(expected):
        raise InvalidTensor(slot.name, f"expected shape {shown(expected)}, got {_brief(shape)}")
    number = 1
    for want, got in zip(expected, shape, strict=True):
        if type(got) is not int or got < 0 or (got != want and want >= 0):
            raise InvalidTensor(slot.name, f"expected shape {shown(expected)}, got {_brief(shape)}")
        number *= got
    if number > MAX_COUNT:
        raise InvalidTensor(slot.name, f"shape {_brief(shape)} is too large")
    return number


def from_json(slot: Slot, shape: list[int], data: object, booleans: bool = True) -> Array:
    """
    Return JSON `data`, nested or flat, as an array of `shape`, which `count` has accepted.

    `booleans` tells whether `true` or `false` may be among the data: numpy takes them for numbers, so that they must
    be looked for.

    Raises:
        InvalidTensor: says what does not fit.
    """
    if type(data) is not list:
        if shape:
            raise InvalidTensor(slot.name, f"expected data to be a list, got {_brief(data)}")
        data = [data]
    array = _numbers(slot, data) if slot.kind != "O" else _strings(slot, data)
    if booleans and slot.kind not in "bO":
        _refuse_booleans(slot, data)
    # Values that are nested must be nested as the shape says; flat ones only have to be as many.
    if array.ndim == 1:
        try:
            return array.reshape(shape)
        except ValueError:
            pass
    elif array.shape == tuple(shape):
        return array
    needed = math.prod(shape)
    if array.size != needed:
        raise InvalidTensor(slot.name, f"shape {shown(shape)} needs {needed} values, got {array.size}")
    raise InvalidTensor(slot.name, f"the data are nested as {shown(array.shape)}, the shape says {shown(shape)}")


def from_bytes(slot: Slot, shape: list[int], raw: memoryview) -> Array:
    """
    Return a raw tensor as an array of `shape`, which `count` has accepted. Numbers that lie well are not copied.

    Raises:
        InvalidTensor: the number of bytes is wrong, or a value is none.
    """
    needed = math.prod(shape)
    if slot.kind == "O":
        return _from_strings(slot, needed, raw).reshape(shape)
    size = needed * slot.dtype.itemsize
    if len(raw) != size:
        raise InvalidTensor(slot.name, f"shape {shown(shape)} of {slot.datatype} needs {size} bytes, got {len(raw)}")
    array: Array
    if slot.kind == "b":
        values = np.frombuffer(raw, np.uint8)
        if size and values.max() > 1:
            raise InvalidTensor(slot.name, "a BOOL is one byte, 0 or 1")
        array = values.view(np.bool_)
    else:
        array = np.frombuffer(raw, slot.dtype)
    # The tensor begins where the JSON before it ends. Kernels may expect the alignment of their type.
    return (array if array.flags.aligned else array.copy()).reshape(shape)


def to_bytes(array: Array) -> bytes:
    """Return an array as a raw tensor."""
    if array.dtype.kind in "OU":
        texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel()]
        return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))
    return array.tobytes()


def flat(array: Array) -> Any:
    """Return the values of an array as something that orjson writes as a flat list."""
    if array.dtype.kind == "O":
        return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in array.ravel()]
    return array.reshape(-1)


def finite(array: Array) -> bool:
    """Return whether JSON can carry every value."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def shown(shape: Sequence[int]) -> str:
    """Return a shape as people read it."""
    return f"[{', '.join('any' if size == -1 else str(size) for size in shape)}]"


def _numbers(slot: Slot, data: list[Any]) -> Array:
    try:
        array: Array = np.array(data)
    except (ValueError, OverflowError):
        raise InvalidTensor(slot.name, "the data are nested unevenly") from None
    kind = array.dtype.kind
    if kind not in KINDS[slot.kind]:
        if not array.size:
            return array.astype(slot.dtype)
        if slot.datatype == "UINT64" and kind == "f":
            return _large(slot, data)
        raise InvalidTensor(slot.name, f"expected {EXPECTED[slot.kind]} for {slot.datatype}, got {_other(array)}")
    if slot.kind in "iu":
        return _whole(slot, array)
    try:
        return _RAISING.copy().run(array.astype, slot.dtype)
    except FloatingPointError:
        raise InvalidTensor(slot.name, f"a number is out of the range of {slot.datatype}") from None


def _whole(slot: Slot, array: Array) -> Array:
    if array.dtype == slot.dtype:
        return array
    limits = np.iinfo(slot.dtype)
    low, high = int(array.min()), int(array.max())
    if low < limits.min or high > limits.max:
        worst = low if low < limits.min else high
        raise InvalidTensor(slot.name, f"{worst} is out of the range of {slot.datatype}, {limits.min} to {limits.max}")
    return array.astype(slot.dtype)


def _large(slot: Slot, data: list[Any]) -> Array:
    """Return whole numbers of which some are beyond INT64: numpy makes floating point of such a mixture."""
    values = np.array(data, object)
    if not all(type(value) is int for value in values.flat):
        raise InvalidTensor(slot.name, f"expected whole numbers for {slot.datatype}, got numbers with a fraction")
    try:
        return values.astype(slot.dtype)
    except OverflowError:
        raise InvalidTensor(slot.name, f"a number is out of the range of {slot.datatype}") from None


def _strings(slot: Slot, data: list[Any]) -> Array:
    try:
        array: Array = np.array(data, object)
    except ValueError:
        raise InvalidTensor(slot.name, "the data are nested unevenly") from None
    for value in array.flat:
        if type(value) is not str:
            uneven = type(value) is list
            problem = "the data are nested unevenly" if uneven else f"expected strings for BYTES, got {_brief(value)}"
            raise InvalidTensor(slot.name, problem)
    return array


def _from_strings(slot: Slot, needed: int, raw: memoryview) -> Array:
    texts: list[str] = []
    at = 0
    while at < len(raw) and len(texts) < needed:
        if at + 4 > len(raw):
            break
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw):
            raise InvalidTensor(slot.name, f"string {len(texts)} is longer than the bytes that are left")
        try:
            texts.append(str(raw[at + 4 : end], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidTensor(slot.name, f"string {len(texts)} is not UTF-8") from None
        at = end
    if at != len(raw) or len(texts) != needed:
        rest = f" and {len(raw) - at} bytes more" if at != len(raw) else ""
        raise InvalidTensor(slot.name, f"expected {needed} strings, got {len(texts)}{rest}")
    array = np.empty(needed, object)
    array[:] = texts
    return array


def _refuse_booleans(slot: Slot, data: list[Any]) -> None:
    for value in np.array(data, object).flat:
        if type(value) is bool:
            raise InvalidTensor(slot.name, f"expected {EXPECTED[slot.kind]} for {slot.datatype}, got true or false")


def _other(array: Array) -> str:
    """Return what stands in an array that numpy could not make numbers of."""
    if array.dtype.kind != "O":
        return FOUND.get(array.dtype.kind, str(array.dtype))
    for value in array.flat:
        if value is None:
            return "null"
        if isinstance(value, dict):
            return "an object"
    return "a mixture"


def _brief(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

"""
`samples.npz`: golden inputs, and the outputs that the served model must give for them.

Keys are `in/<tensor>` and `out/<tensor>`; a string tensor stands as `<key>.utf8` (its bytes, one after the other)
and `<key>.offsets` (where each begins, and the end). Nothing in it is pickled.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidSamples

SAMPLES: Final = "samples.npz"
MOST_BYTES: Final = 64 * 2**20
UTF8: Final = ".utf8"
OFFSETS: Final = ".offsets"

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Samples:
    """Golden inputs and outputs by tensor name. All tensors of a batching model have the same number of rows."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def write_samples(path: Path, samples: Samples) -> None:
    """
    Write samples to `path`.

    Raises:
        InvalidSamples: a tensor's dtype is not one of Open Inference, or they exceed 64 MiB.
    """
    arrays: dict[str, Array] = {}
    for side, tensors in (("in", samples.inputs), ("out", samples.outputs)):
        for name, array in tensors.items():
            if array.dtype.kind in "OU":
                texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel()]
                arrays[f"{side}/{name}{UTF8}"] = np.frombuffer(b"".join(texts), np.uint8)
                arrays[f"{side}/{name}{OFFSETS}"] = np.cumsum([0, *map(len, texts)], dtype=np.int64)
            elif array.dtype in DATATYPES.values():
                arrays[f"{side}/{name}"] = array
            else:
                raise InvalidSamples(path, f"tensor {name!r} has dtype {array.dtype}, which is not of Open Inference")
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        raise InvalidSamples(path, f"{size} bytes are more than {MOST_BYTES}; give fewer golden rows")
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_samples(folder: Path, bundle: Bundle) -> Samples:
    """
    Return the samples of the bundle in `folder`, checked against its signature.

    Raises:
        InvalidSamples: the file is damaged, or a tensor is missing, superfluous or of another type or shape.
    """
    path = folder / SAMPLES
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise InvalidSamples(path, f"{size} bytes are more than {MOST_BYTES}")
        with np.load(path, allow_pickle=False) as archive_of_arrays:
            arrays = {key: archive_of_arrays[key] for key in archive_of_arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InvalidSamples(path, f"cannot be read: {error}") from None
    samples = Samples(
        {tensor.name: _take(path, arrays, "in", tensor) for tensor in bundle.inputs},
        {tensor.name: _take(path, arrays, "out", tensor) for tensor in bundle.outputs},
    )
    for key in arrays:
        raise InvalidSamples(path, f"{key!r} is not in the signature")
    return samples


def matches(got: Array, golden: Array, tolerance: Tolerance) -> bool:
    """Return whether an output is what the samples say it must be, NaN for NaN."""
    if got.shape != golden.shape:
        return False
    if tolerance.exact or got.dtype.kind not in "fc":
        return bool((got == golden).all())
    close = np.isclose(got, golden, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
    return bool(close.all())


def _take(path: Path, arrays: dict[str, Array], side: str, tensor: Tensor) -> Array:
    key = f"{side}/{tensor.name}"
    try:
        array = _strings(path, arrays, key, tensor) if tensor.datatype == "BYTES" else arrays.pop(key)
    except KeyError as error:
        raise InvalidSamples(path, f"{error.args[0]!r} is missing") from None
    if array.dtype != DATATYPES[tensor.datatype]:
        raise InvalidSamples(path, f"{key!r} has dtype {array.dtype}, the signature says {tensor.datatype}")
    if len(array.shape) != len(tensor.shape) or any(
        expected not in (-1, size) for expected, size in zip(tensor.shape, array.shape, strict=True)
    ):
        raise InvalidSamples(path, f"{key!r} has shape {array.shape}, the signature says {list(tensor.shape)}")
    return array


def _strings(path: Path, arrays: dict[str, Array], key: str, tensor: Tensor) -> Array:
    """Return a string tensor. Its shape is the signature's, so no more than one dimension of it may be variable."""
    utf8, offsets = arrays.pop(key + UTF8), arrays.pop(key + OFFSETS)
    data = utf8.tobytes()
    bounds = offsets.tolist()
    if offsets.ndim != 1 or not bounds or bounds != sorted(bounds) or bounds[0] != 0 or bounds[-1] != len(data):
        raise InvalidSamples(path, f"'{key}{OFFSETS}' does not divide '{key}{UTF8}'")
    try:
        texts = [data[begin:end].decode() for begin, end in pairwise(bounds)]
        return np.array(texts, object).reshape(tensor.shape)
    except (UnicodeDecodeError, ValueError, TypeError) as error:
        raise InvalidSamples(path, f"{key!r}: {error}") from None

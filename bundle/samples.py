"""
`samples.npz`: golden inputs, and the outputs that the served model must give for them.

Keys are `in/<tensor>` and `out/<tensor>`; a string tensor stands as `<key>.utf8` (its bytes, one after the other)
and `<key>.offsets` (where each begins, and the end). Nothing in it is pickled or compressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from snooze.bundle.codec import SAMPLES
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidSamples
from snooze.bundle.npz import read_npz
from snooze.bundle.store import inside

MOST_BYTES: Final = 64 * 2**20
MOST_FILE_BYTES: Final = MOST_BYTES + 2**20  # with headers
UTF8: Final = ".utf8"
OFFSETS: Final = ".offsets"

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # as NDArray[Any], without importing numpy.typing at a cold start


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
        OSError: they could not be written.
    """
    arrays: dict[str, Array] = {}
    for side, tensors in (("in", samples.inputs), ("out", samples.outputs)):
        for name, array in tensors.items():
            for key, stored in _stored(path, f"{side}/{name}", array):
                if key in arrays:
                    raise InvalidSamples(path, f"the tensors' names leave two arrays the key {key!r}")
                arrays[key] = stored
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        raise InvalidSamples(path, f"{size} bytes are more than {MOST_BYTES}; give fewer golden rows")
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_samples(folder: Path, bundle: Bundle) -> Samples:
    """
    Return the samples of the bundle in `folder`, checked against its signature.

    Raises:
        InvalidSamples: the file is damaged, or a tensor is missing, superfluous or of another type, shape or number of
            rows.
        OutsideFolder: the file is a link that leaves the bundle's folder.
    """
    path = folder / SAMPLES
    try:
        with inside(folder, SAMPLES).open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
        if len(data) > MOST_FILE_BYTES:
            raise ValueError(f"it is larger than {MOST_FILE_BYTES} bytes")
        arrays = read_npz(data)
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise InvalidSamples(path, f"cannot be read: {problem}") from None
    samples = Samples(
        {tensor.name: _take(path, arrays, "in", tensor) for tensor in bundle.inputs},
        {tensor.name: _take(path, arrays, "out", tensor) for tensor in bundle.outputs},
    )
    for key in arrays:
        raise InvalidSamples(path, f"{key!r} is not in the signature")
    if bundle.batching is not None:
        _check_rows(path, samples, bundle.batching.axis)
    return samples


def matches(got: Array, golden: Array, tolerance: Tolerance) -> bool:
    """Return whether an output is what the samples say it must be, NaN for NaN. Texts and truth values are exact."""
    if got.shape != golden.shape:
        return False
    if tolerance.exact or got.dtype.kind not in "iuf" or golden.dtype.kind not in "iuf":
        return bool(((got == golden) | ((got != got) & (golden != golden))).all())
    wide_got, wide_golden = got.astype(np.float64), golden.astype(np.float64)
    close = np.isclose(wide_got, wide_golden, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
    return bool(close.all())


def _stored(path: Path, key: str, array: Array) -> list[tuple[str, Array]]:
    if array.dtype.kind in "OU":
        texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel()]
        utf8 = np.frombuffer(b"".join(texts), np.uint8)
        return [(key + UTF8, utf8), (key + OFFSETS, np.cumsum([0, *map(len, texts)], dtype=np.int64))]
    if array.dtype not in DATATYPES.values():
        raise InvalidSamples(path, f"'{key}' has dtype {array.dtype}, which is not of Open Inference")
    return [(key, array)]


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
    if (
        utf8.dtype != np.uint8
        or offsets.dtype != np.int64
        or offsets.ndim != 1
        or not bounds
        or bounds != sorted(bounds)
        or (bounds[0], bounds[-1]) != (0, len(data))
    ):
        raise InvalidSamples(path, f"'{key}{OFFSETS}' does not divide '{key}{UTF8}'")
    try:
        texts = [data[begin:end].decode() for begin, end in pairwise(bounds)]
    except UnicodeDecodeError as error:
        raise InvalidSamples(path, f"{key!r} is not UTF-8: {error}") from None
    try:
        return np.array(texts, object).reshape(_shape(tensor))
    except ValueError:
        problem = f"{len(texts)} texts do not fill the shape {list(tensor.shape)}"
        raise InvalidSamples(path, f"{key!r}: {problem}; one dimension of a string tensor may be variable") from None


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape that texts are put into. Where rows are empty nothing tells how many: then there are none."""
    row = 1
    for size in tensor.shape:
        row *= 1 if size < 0 else size
    return tensor.shape if row else tuple(max(size, 0) for size in tensor.shape)


def _check_rows(path: Path, samples: Samples, axis: int) -> None:
    rows: int | None = None
    for side, tensors in (("in", samples.inputs), ("out", samples.outputs)):
        for name, array in tensors.items():
            if rows not in (None, array.shape[axis]):
                problem = f"'{side}/{name}' has {array.shape[axis]} rows along axis {axis}, others have {rows}"
                raise InvalidSamples(path, problem)
            rows = array.shape[axis]

"""
`samples.npz`: golden cases, each some inputs and the outputs that the served model must give for them.

Keys are `<case>/in/<tensor>` and `<case>/out/<tensor>`. Cases are numbered from 0, and may have different shapes. A
string tensor is `<key>.utf8`, its bytes in a row, and `<key>.offsets`, an array of the tensor's shape that says where
each string ends. Where there is an adapter, some cases also have the raw rows that it makes the inputs of:
`<case>/raw`, their bytes in a row, and `<case>/raw.offsets`. Nothing is pickled or compressed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from snooze.bundle.codec import SAMPLES
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidSamples
from snooze.bundle.npz import read_npz
from snooze.bundle.store import resolve

MAX_BYTES: Final = 64 * 2**20
MAX_FILE_BYTES: Final = MAX_BYTES + 2**20  # with headers
UTF8: Final = ".utf8"
OFFSETS: Final = ".offsets"
RAW: Final = "raw"

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # NDArray[Any], without importing numpy.typing at a cold start


class Sample(NamedTuple):
    """One golden case: arrays by tensor name, and the raw rows of which an adapter makes the inputs, if it does."""

    inputs: "Mapping[str, Array]"
    outputs: "Mapping[str, Array]"
    raw: tuple[bytes, ...] | None = None

    @property
    def sides(self) -> "tuple[Mapping[str, Array], Mapping[str, Array]]":
        """Inputs and outputs."""
        return self.inputs, self.outputs


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """
    Write golden cases to `path`.

    Raises:
        InvalidSamples: a tensor has no datatype of the Open Inference Protocol, or they exceed 64 MiB.
        OSError: they could not be written.
    """
    arrays: dict[str, Array] = {}
    for case, sample in enumerate(samples):
        for side, tensors in (("in", sample.inputs), ("out", sample.outputs)):
            for name, array in tensors.items():
                stored = _store(path, f"{case}/{side}/{name}", array)
                for key in stored.keys() & arrays.keys():
                    raise InvalidSamples(path, f"two tensors would be stored as {key!r}")
                arrays |= stored
        if sample.raw is not None:
            arrays |= _pack(f"{case}/{RAW}", f"{case}/{RAW}", sample.raw)
    size = sum(array.nbytes for array in arrays.values())
    if size > MAX_BYTES:
        raise InvalidSamples(path, f"{size} bytes exceed the limit of {MAX_BYTES}; use fewer golden rows")
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_samples(folder: Path, bundle: Bundle) -> tuple[Sample, ...]:
    """
    Return the golden cases of the bundle in `folder`, checked against its signature.

    Raises:
        InvalidSamples: the file is damaged, or a tensor is missing, unknown or of another type, shape or row count.
        OutsideFolder: the file is a link that leaves the bundle's folder.
    """
    path = folder / SAMPLES
    try:
        with resolve(folder, SAMPLES).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
        arrays = read_npz(data)
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise InvalidSamples(path, f"cannot be read: {problem}") from None
    samples: list[Sample] = []
    while arrays:
        case = len(samples)
        sides = [
            {tensor.name: _take(path, arrays, f"{case}/{side}/{tensor.name}", tensor) for tensor in tensors}
            for side, tensors in (("in", bundle.inputs), ("out", bundle.outputs))
        ]
        samples.append(Sample(sides[0], sides[1], _take_raw(path, arrays, f"{case}/{RAW}")))
        if any(key.startswith(f"{case}/") for key in arrays):
            key = next(key for key in arrays if key.startswith(f"{case}/"))
            raise InvalidSamples(path, f"{key!r} is not in the signature")
    if not samples:
        raise InvalidSamples(path, "contains no samples")
    if (bundle.adapter is not None) != any(sample.raw is not None for sample in samples):
        raise InvalidSamples(path, "expected raw rows if there is an adapter, and none otherwise")
    if bundle.batching is not None:
        _check_rows(path, samples, bundle.batching.axis)
    return tuple(samples)


def matches(got: Array, golden: Array, tolerance: Tolerance) -> bool:
    """Return whether an output equals its golden value within the tolerance; NaN equals NaN, texts must be the same."""
    if got.shape != golden.shape:
        return False
    if tolerance.exact or got.dtype.kind not in "iuf" or golden.dtype.kind not in "iuf":
        return bool(((got == golden) | ((got != got) & (golden != golden))).all())
    wide_got, wide_golden = got.astype(np.float64), golden.astype(np.float64)
    atol = np.asarray(tolerance.columns or tolerance.atol)
    close = np.isclose(wide_got, wide_golden, rtol=tolerance.rtol, atol=atol, equal_nan=True)
    return bool(close.all())


def _store(path: Path, key: str, array: Array) -> dict[str, Array]:
    if array.dtype.kind in "OU":
        texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel()]
        stored = _pack(key, key + UTF8, texts)
        return stored | {key + OFFSETS: stored[key + OFFSETS].reshape(array.shape)}
    if array.dtype not in DATATYPES.values():
        raise InvalidSamples(path, f"'{key}' has dtype {array.dtype}, which the Open Inference Protocol does not know")
    return {key: array}


def _pack(key: str, content: str, parts: Sequence[bytes]) -> dict[str, Array]:
    """Return byte strings as two arrays: one under `content`, and where each of them ends."""
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {content: np.frombuffer(b"".join(parts), np.uint8), key + OFFSETS: ends}


def _take(path: Path, arrays: dict[str, Array], key: str, tensor: Tensor) -> Array:
    try:
        array = _strings(path, arrays, key) if tensor.datatype == "BYTES" else arrays.pop(key)
    except KeyError as error:
        raise InvalidSamples(path, f"{error.args[0]!r} is missing") from None
    if array.dtype != DATATYPES[tensor.datatype]:
        raise InvalidSamples(path, f"{key!r} has dtype {array.dtype}, the signature says {tensor.datatype}")
    if len(array.shape) != len(tensor.shape) or any(
        expected not in (-1, size) for expected, size in zip(tensor.shape, array.shape, strict=True)
    ):
        raise InvalidSamples(path, f"{key!r} has shape {list(array.shape)}, the signature says {list(tensor.shape)}")
    return array


def _strings(path: Path, arrays: dict[str, Array], key: str) -> Array:
    shape = arrays[key + OFFSETS].shape
    parts = _unpack(path, arrays, key, key + UTF8)
    array = np.empty(len(parts), object)
    try:
        array[:] = [part.decode() for part in parts]
    except UnicodeDecodeError as error:
        raise InvalidSamples(path, f"{key!r} is not UTF-8: {error}") from None
    return array.reshape(shape)


def _take_raw(path: Path, arrays: dict[str, Array], key: str) -> tuple[bytes, ...] | None:
    try:
        return tuple(_unpack(path, arrays, key, key)) if key in arrays else None
    except KeyError as error:
        raise InvalidSamples(path, f"{error.args[0]!r} is missing") from None


def _unpack(path: Path, arrays: dict[str, Array], key: str, content: str) -> list[bytes]:
    """Return the byte strings that `_pack` has stored. Raises KeyError if one of the two arrays is missing."""
    stored, offsets = arrays.pop(content), arrays.pop(key + OFFSETS)
    data, ends = stored.tobytes(), offsets.ravel().tolist()
    begins = [0, *ends[:-1]]
    if (
        stored.dtype != np.uint8
        or offsets.dtype != np.int64
        or any(begin > end for begin, end in zip(begins, ends, strict=False))
        or (ends[-1] if ends else 0) != len(data)
    ):
        raise InvalidSamples(path, f"'{key}{OFFSETS}' does not divide '{content}'")
    return [data[begin:end] for begin, end in zip(begins, ends, strict=False)]


def _check_rows(path: Path, samples: Sequence[Sample], axis: int) -> None:
    for case, (inputs, outputs, raw) in enumerate(samples):
        counts = {array.shape[axis] for array in (*inputs.values(), *outputs.values())}
        counts |= set() if raw is None else {len(raw)}
        if len(counts) > 1:
            raise InvalidSamples(path, f"case {case} has tensors of {sorted(counts)} rows along axis {axis}")

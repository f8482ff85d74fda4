"""
The arrays of an `.npz` file as `numpy.savez` writes it: a zip archive of uncompressed `.npy` files.

Read by hand, for two reasons. `numpy.load` imports `zipfile` and its compressors: 6.6 ms of CPU for the samples of a
small model, this module 0.9 ms (the minimum of seven fresh processes each). And nothing may be allocated that the file
does not contain, whatever its headers claim.
"""

import ast
import binascii
import struct
from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

END: Final = struct.Struct("<4s4H2LH")  # of the archive: signature, disks, entries, size and offset of the list
ENTRY: Final = struct.Struct("<4s6H3L5H2L")  # in the list
LOCAL: Final = struct.Struct("<4s22x2H")  # before the data: signature, lengths of name and extra field
ENCRYPTED: Final = 0x1
MAX_HEADER: Final = 10_000


def read_npz(data: bytes) -> dict[str, Array]:
    """
    Return the arrays of an archive by name. Each is a copy, aligned and in C order.

    Raises:
        ValueError: says what is damaged or not supported; compression and pickled objects are not.
    """
    view = memoryview(data)
    arrays: dict[str, Array] = {}
    size = 0
    for name, content in _entries(view):
        key = name.removesuffix(".npy")
        if key == name or key in arrays:
            raise ValueError(f"{name!r} is not an array" if key == name else f"{key!r} is duplicated")
        size += len(content)
        if size > len(data):
            raise ValueError("its arrays overlap")
        arrays[key] = _array(key, content)
    return arrays


def _entries(view: memoryview) -> list[tuple[str, memoryview]]:
    try:
        signature, *_, count, _, offset, comment = END.unpack_from(view, max(0, len(view) - END.size))
        if signature != b"PK\5\6" or comment:
            raise ValueError("it is truncated, or not an .npz file")
        entries = []
        for _ in range(count):
            name, content, offset = _entry(view, offset)
            entries.append((name, content))
    except struct.error:
        raise ValueError("it is truncated, or not an .npz file") from None
    return entries


def _entry(view: memoryview, offset: int) -> tuple[str, memoryview, int]:
    """Return the name and content of the directory entry at `offset`, and the offset of the next entry."""
    listed = ENTRY.unpack_from(view, offset)
    flags, method, checksum, packed, size = listed[3], listed[4], listed[7], listed[8], listed[9]
    length, extra, comment, local = listed[10], listed[11], listed[12], listed[16]
    name = str(view[offset + ENTRY.size : offset + ENTRY.size + length], "utf-8")
    if listed[0] != b"PK\1\2":
        raise ValueError("its directory is damaged")
    if method or flags & ENCRYPTED or packed != size:
        raise ValueError(f"{name!r} is compressed or encrypted; write the file with numpy.savez")
    signature, name_length, extra_length = LOCAL.unpack_from(view, local)
    begin = local + LOCAL.size + name_length + extra_length
    content = view[begin : begin + size]
    if signature != b"PK\3\4" or len(content) != size or binascii.crc32(content) != checksum:
        raise ValueError(f"{name!r} is damaged")
    return name, content, offset + ENTRY.size + length + extra + comment


def _array(key: str, content: memoryview) -> Array:
    if bytes(content[:6]) != b"\x93NUMPY" or len(content) < 12:
        raise ValueError(f"{key!r} is not an array")
    begin = 10 if content[6] == 1 else 12
    length = int.from_bytes(content[8:begin], "little")
    if content[6] not in (1, 2, 3) or length > MAX_HEADER:
        raise ValueError(f"{key!r} has an unknown header")
    try:
        header = ast.literal_eval(str(content[begin : begin + length], "latin-1").strip())
        shape, dtype, order = header["shape"], np.dtype(header["descr"]), "F" if header["fortran_order"] else "C"
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{key!r} has a damaged header") from None
    if dtype.hasobject:
        raise ValueError(f"{key!r} contains pickled objects, which are never loaded")
    return _checked(key, shape, dtype, order, content[begin + length :])


def _checked(key: str, shape: Any, dtype: np.dtype[Any], order: Any, values: memoryview) -> Array:
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{key!r} has shape {shape!r}")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(values):
        raise ValueError(f"{key!r} has shape {shape!r} of {dtype}, but {len(values)} bytes")
    return np.array(np.ndarray(shape, dtype, values, order=order), order="C")

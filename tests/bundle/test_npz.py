import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from snooze.bundle.npz import read_npz

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
DTYPES = npst.scalar_dtypes() | npst.unicode_string_dtypes(max_len=3) | npst.byte_string_dtypes(max_len=3)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


def packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, values: bytes = b"", version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode("latin-1") + values


def saved(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(st.dictionaries(KEYS, DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES)), max_size=3))
def test_reads_what_numpy_writes(arrays: dict[str, NDArray[Any]]) -> None:
    read = read_npz(packed({f"in/{key}": array for key, array in arrays.items()}))

    assert list(read) == [f"in/{key}" for key in arrays]
    for key, array in arrays.items():
        got = read[f"in/{key}"]
        assert (got.dtype, got.shape) == (array.dtype, array.shape)
        assert got.tobytes() == array.tobytes()
        assert got.flags.aligned
        assert got.flags.writeable


def test_reads_fortran_order_in_c_order() -> None:
    array = np.asfortranarray(np.arange(12).reshape(3, 4))

    read = read_npz(packed({"x": array}))["x"]

    assert np.array_equal(read, array)
    assert read.flags.c_contiguous


def test_reads_longer_headers_of_later_versions() -> None:
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}"
    for version in (2, 3):
        read = read_npz(zipped(("x.npy", npy(header, b"\1" + bytes(7), version))))
        assert read["x"].tolist() == [1]


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda some: some + packed({"x": np.zeros(3)})[-22:]))
def test_says_of_anything_else_what_is_wrong(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_npz(data)


@given(st.data())
def test_notices_every_flipped_byte_that_matters(data: st.DataObject) -> None:
    arrays = {"x": np.arange(5.0), "y": np.arange(3)}
    whole = packed(arrays)
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= data.draw(st.integers(1, 255))

    try:
        read = read_npz(bytes(flipped))
    except ValueError:
        return
    # what is left are dates, flags nobody needs and names, which the signature settles
    assert [array.tobytes() for array in read.values()] == [array.tobytes() for array in arrays.values()]


@given(st.integers(0, 600))
def test_notices_when_it_is_truncated(length: int) -> None:
    whole = packed({"x": np.arange(50.0), "y": np.arange(3)})

    with pytest.raises(ValueError, match=r"truncated|damaged"):
        read_npz(whole[: min(length, len(whole) - 1)])


GOOD = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", bytes(8))
WIDE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000)}"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is truncated, or not an .npz file"),
        (b"x" * 100, "it is truncated, or not an .npz file"),
        (
            zipped(("x.npy", GOOD), method=zipfile.ZIP_DEFLATED),
            "'x.npy' is compressed or encrypted; write the file with numpy.savez",
        ),
        (zipped(("x.npy", GOOD)).replace(b"PK\1\2", b"PK\1\3"), "its directory is damaged"),
        (zipped(("x.npy", GOOD)).replace(b"PK\3\4", b"PK\3\5"), "'x.npy' is damaged"),
        (zipped(("x.txt", GOOD)), "'x.txt' is not an array"),
        (zipped(("x.npy", b"hello")), "'x' is not an array"),
        (zipped(("x.npy", npy(WIDE, bytes(80)))), "'x' has shape (1000000, 1000000) of float64, but 80 bytes"),
        (zipped(("x.npy", npy(WIDE.replace("1000000", "-1"), bytes(8)))), "'x' has shape (-1, -1)"),
        (zipped(("x.npy", npy(WIDE.replace("1000000", "1.5"), bytes(8)))), "'x' has shape (1.5, 1.5)"),
        (zipped(("x.npy", npy("{'descr': '<f8'}"))), "'x' has a damaged header"),
        (zipped(("x.npy", npy("__import__('os')"))), "'x' has a damaged header"),
        (zipped(("x.npy", npy("(" * 9000))), "'x' has a damaged header"),
        (zipped(("x.npy", npy("{'descr': 'nonsense', 'fortran_order': 0, 'shape': ()}"))), "'x' has a"),
        (zipped(("x.npy", npy(" " * 20_000, version=2))), "'x' has an unknown header"),
        (zipped(("x.npy", npy("{}", version=9))), "'x' has an unknown header"),
    ],
)
def test_names_what_is_damaged(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        read_npz(data)

    assert str(caught.value).startswith(problem)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_refuses_two_entries_of_one_name() -> None:
    with pytest.raises(ValueError, match="'x' is duplicated"):
        read_npz(zipped(("x.npy", GOOD), ("x.npy", GOOD)))


def test_refuses_entries_that_overlap() -> None:
    """A bomb: many names in the list, all for the same bytes."""
    big = saved(np.zeros(1000))
    one = zipped(("a.npy", big))
    end = struct.Struct("<4s4H2LH")
    *_, size, offset, _ = end.unpack(one[-end.size :])
    entry = one[offset : offset + size]
    entries = b"".join(entry.replace(b"a.npy", f"{letter}.npy".encode()) for letter in "abcdefgh")
    bomb = one[:offset] + entries + end.pack(b"PK\5\6", 0, 0, 8, 8, len(entries), offset, 0)

    with pytest.raises(ValueError, match="its arrays overlap"):
        read_npz(bomb)


class Malicious:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return pytest.fail, ("code of the file was run",)


def test_never_unpickles() -> None:
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"

    with pytest.raises(ValueError, match="'x' contains pickled objects, which are never loaded"):
        read_npz(zipped(("x.npy", npy(header, pickle.dumps(Malicious())))))

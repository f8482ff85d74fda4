import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.service.errors import InvalidTensor
from snooze.service.protocols.tensors import (
    TensorSpec,
    count,
    finite,
    flat,
    from_bytes,
    from_json,
    may_hold_booleans,
    to_bytes,
)

NUMBERS: list[Datatype] = [name for name in DATATYPES if name != "BYTES"]


def of(datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(Tensor("x", datatype, shape or (-1,)))


def decode(datatype: Datatype, shape: list[int], data: object) -> Any:
    one = of(datatype, *[-1 for _ in shape])
    return from_json(one, shape, count(one, shape), data)


TOO_LARGE = "is too large; its sizes, without zeros, may multiply to 1099511627776 at most"


@pytest.mark.parametrize(
    ("expected", "shape", "problem"),
    [
        ((-1, 4), [4], "expected shape [any, 4], got [4]"),
        ((-1, 4), [1, 5], "expected shape [any, 4], got [1, 5]"),
        ((-1, 4), [-1, 4], "expected shape [any, 4], got [-1, 4]"),
        ((-1, 4), [1.0, 4], "expected shape [any, 4], got [1.0, 4]"),
        ((-1, 4), [True, 4], "expected shape [any, 4], got [true, 4]"),
        ((-1, 4), "1,4", "expected shape [any, 4], got '1,4'"),
        ((-1, 4), None, "expected shape [any, 4], got null"),
        ((-1, -1), [2**32, 2**32], f"shape [4294967296, 4294967296] {TOO_LARGE}"),
        ((-1, -1, -1), [2**32, 0, 2**32], f"shape [4294967296, 0, 4294967296] {TOO_LARGE}"),
    ],
)
def test_refuses_a_shape_that_the_model_does_not_take(expected: tuple[int, ...], shape: object, problem: str) -> None:
    with pytest.raises(InvalidTensor) as caught:
        count(of("FP32", *expected), shape)

    assert str(caught.value) == f"input 'x': {problem}"


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "values"),
    [
        ("FP32", [2, 2], [1, 2.5, 3, 4], [[1, 2.5], [3, 4]]),
        ("FP32", [2, 2], [[1, 2.5], [3, 4]], [[1, 2.5], [3, 4]]),
        ("FP16", [1], [1.5], [1.5]),
        ("FP64", [1], [2**60], [2**60]),
        ("INT8", [2], [-128, 127], [-128, 127]),
        ("UINT64", [2], [2**64 - 1, 0], [2**64 - 1, 0]),
        ("INT64", [1], [-(2**63)], [-(2**63)]),
        ("BOOL", [2], [True, False], [True, False]),
        ("BYTES", [2], ["a", "ü"], ["a", "ü"]),
        ("FP32", [0, 3], [], []),
        ("INT64", [0], [], []),
        ("BYTES", [0], [], []),
    ],
)
def test_takes_flat_and_nested_data(datatype: Datatype, shape: list[int], data: object, values: object) -> None:
    array = decode(datatype, shape, data)

    assert array.shape == tuple(shape)
    assert array.dtype == DATATYPES[datatype]
    assert array.tolist() == values


def test_a_scalar_needs_no_list() -> None:
    scalar = TensorSpec(Tensor("x", "FP32", ()))

    assert from_json(scalar, [], 1, 2.5).tolist() == from_json(scalar, [], 1, [2.5]).tolist() == 2.5


def test_a_scalar_is_no_boolean_either() -> None:
    with pytest.raises(InvalidTensor):
        from_json(TensorSpec(Tensor("x", "FP32", ())), [], 1, True, booleans=False)


@pytest.mark.parametrize(
    ("body", "start", "expected"),
    [
        (b'{"data":[1,2.5e3]}', 1, False),
        (b'{"data":[1,2],"parameters":{"binary_data_output":true}}', 1, False),
        (b'{"data":[1,2],"outputs":[{"name":"label"}]}', 1, False),
        (b'{"data":[1,true]}', 1, True),
        (b'{"data":[false]}', 1, True),
        (b'{"data":[1,2]},{"data":[1,true]}', 1, True),
        (b'{"data":[1,2]},{"data":[1,false]}', 1, True),
        (b'{"d\\u0061ta":[1,true]}', 0, True),
        (b"[[1,true]]", 0, True),
        (b"[[1,2]]", 0, False),
    ],
)
def test_looks_for_booleans_in_lists_only(body: bytes, start: int, expected: bool) -> None:
    assert may_hold_booleans(body, start) is expected


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "problem"),
    [
        ("FP32", [1, 4], [1, 2, 3], "shape [1, 4] needs 4 values, got 3"),
        ("FP32", [1], "1.5", "expected data to be a list, got '1.5'"),
        ("FP32", [2], [1, "2"], "expected numbers for FP32, got '2'"),
        ("FP32", [2], [1, None], "expected numbers for FP32, got null"),
        ("FP32", [2], [1, {}], "expected numbers for FP32, got an object"),
        ("FP32", [2], [True, False], "expected numbers for FP32, got true"),
        ("FP32", [2], [1.5, True], "expected numbers for FP32, got true"),
        ("INT64", [2], [1, True], "expected integers for INT64, got true"),
        ("FP32", [2, 2], [[1, 2], [3]], "the lists in the data have different lengths or depths"),
        ("FP32", [2, 2], [[1, 2], 3], "the lists in the data have different lengths or depths"),
        ("FP32", [2], [[1], [2]], "expected numbers for FP32, got [1]"),
        (
            "FP32",
            [2, 2],
            json.loads("[" * 900 + "]" * 900),
            "the data are nested as [1, 1, 1], but the shape is [2, 2]",
        ),
        ("FP32", [2, 2], [[1, 2, 3, 4]], "the data are nested as [1, 4], but the shape is [2, 2]"),
        ("FP32", [2], [1, -1e39], "-1e+39 is out of the range of FP32"),
        ("FP16", [1], [70000], "70000 is out of the range of FP16"),
        ("INT32", [1], [1.5], "expected integers for INT32, got 1.5"),
        ("INT8", [2], [1, 128], "128 is out of the range of INT8, -128 to 127"),
        ("UINT8", [1], [-1], "-1 is out of the range of UINT8, 0 to 255"),
        ("UINT64", [2], [2**64 - 1, -1], "-1 is out of the range of UINT64, 0 to 18446744073709551615"),
        ("UINT64", [2], [2**63, 0.5], "expected integers for UINT64, got 0.5"),
        (
            "INT64",
            [1],
            [2**63],
            "9223372036854775808 is out of the range of INT64, -9223372036854775808 to 9223372036854775807",
        ),
        ("BOOL", [2], [1, 0], "expected true or false for BOOL, got 1"),
        ("BOOL", [2], [True, 1], "expected true or false for BOOL, got 1"),
        ("BYTES", [1], [1], "expected strings for BYTES, got 1"),
        ("BYTES", [2, 2], [["a", "b"], ["c"]], "the lists in the data have different lengths or depths"),
    ],
)
def test_says_what_does_not_fit(datatype: Datatype, shape: list[int], data: object, problem: str) -> None:
    with pytest.raises(InvalidTensor) as caught:
        decode(datatype, shape, data)

    assert str(caught.value) == f"input 'x': {problem}"


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "problem"),
    [
        ("FP32", [2], b"1234567", "shape [2] of FP32 needs 8 bytes, got 7"),
        ("FP16", [2, 2], b"12345678" * 2, "shape [2, 2] of FP16 needs 8 bytes, got 16"),
        ("BOOL", [2], b"\x00\x02", "expected each BOOL to be one byte, 0 or 1"),
        ("BYTES", [1], b"\x05\x00\x00\x00abc", "string 0 is longer than the remaining bytes"),
        ("BYTES", [1], b"\x01\x00\x00\x00\xff", "string 0 is not UTF-8"),
        ("BYTES", [2], b"\x01\x00\x00\x00a", "expected 2 strings, got 1"),
        ("BYTES", [1], b"\x01\x00\x00\x00ab", "expected 1 strings, got 1 and 1 more bytes"),
        ("BYTES", [1], b"\x01\x00", "expected 1 strings, got 0 and 2 more bytes"),
    ],
)
def test_says_what_is_wrong_with_raw_bytes(datatype: Datatype, shape: list[int], raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidTensor) as caught:
        from_bytes(of(datatype, *[-1 for _ in shape]), shape, math.prod(shape), memoryview(raw))

    assert str(caught.value) == f"input 'x': {problem}"


def test_a_tensor_that_lies_badly_is_moved() -> None:
    raw = memoryview(b"{" + np.array([1.5, 2.5], np.float64).tobytes())[1:]

    array = from_bytes(of("FP64"), [2], 2, raw)

    assert array.flags.aligned
    assert array.tolist() == [1.5, 2.5]


@given(st.sampled_from(NUMBERS).flatmap(lambda name: arrays.arrays(DATATYPES[name], arrays.array_shapes(min_side=0))))
def test_raw_numbers_come_back_bit_by_bit(array: Any) -> None:
    name = next(name for name in NUMBERS if DATATYPES[name] == array.dtype)

    back = from_bytes(of(name, *[-1] * array.ndim), list(array.shape), array.size, memoryview(to_bytes(array)))

    assert (back.shape, back.tobytes()) == (array.shape, array.tobytes())


@given(st.lists(st.text()))
def test_raw_strings_come_back(texts: list[str]) -> None:
    back = from_bytes(of("BYTES"), [len(texts)], len(texts), memoryview(to_bytes(np.array(texts, object))))

    assert back.tolist() == texts


@given(st.sampled_from(NUMBERS).flatmap(lambda name: arrays.arrays(DATATYPES[name], arrays.array_shapes(min_side=0))))
def test_json_numbers_come_back_where_json_can_say_them(array: Any) -> None:
    import orjson

    name = next(name for name in NUMBERS if DATATYPES[name] == array.dtype)
    if not finite(array):
        assert b"null" in orjson.dumps(flat(array), option=orjson.OPT_SERIALIZE_NUMPY)
        return
    data = json.loads(orjson.dumps(flat(array), option=orjson.OPT_SERIALIZE_NUMPY))

    back = from_json(of(name, *[-1] * array.ndim), list(array.shape), array.size, data)

    assert (back.shape, back.tolist()) == (array.shape, array.tolist())

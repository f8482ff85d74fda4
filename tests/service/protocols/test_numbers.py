import json
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.service.errors import RequestError
from snooze.service.protocols import numbers, plain, v2
from snooze.service.protocols.numbers import MIN_TEXT, NotNumbers, cut, read
from snooze.service.protocols.tensors import Signature

PADDING = " " * MIN_TEXT  # makes a short list a long one
DATA = b'"data"'


def signature(*inputs: Tensor) -> Signature:
    bundle: Any = SimpleNamespace(name="m", version=1, inputs=inputs, outputs=[Tensor("y", "FP32", (-1,))], labels=None)
    return Signature(bundle)


def decode(protocol: ModuleType, of: Signature, body: bytes) -> Any:
    """Return what a codec makes of a body, in a form that can be compared."""
    try:
        call = protocol.decode(of, {}, body)
    except RequestError as error:
        return type(error), str(error)
    return {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in call.feeds.items()}


def decode_both_ways(protocol: ModuleType, of: Signature, body: bytes) -> Any:
    """Return what a codec makes of a body; the same with pysimdjson and without it."""
    result = decode(protocol, of, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_import_parser", lambda: None)
        assert decode(protocol, of, body) == result
    return result


def is_read(text: str, kind: str) -> bool:
    try:
        read(text.encode(), kind)
    except NotNumbers:
        return False
    return True


NUMBERS = st.one_of(
    st.integers(-300, 300).map(str),
    st.integers(-(2**64), 2**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.sampled_from(["-0", "-0.0", "1e5", "1E+2", "0.1e1", "1e308", "-1", "255", "256", "16777217", "1" * 400]),
    st.sampled_from(
        ["65504", "65519.999", "65520", "3.4028235677973366e38", "3.40282356779733e38", "9007199254740993"]
    ),
    st.sampled_from(["5e-324", "2.4703282292062327e-324", "1e-999"]),
    st.sampled_from([str(2**63 - 1), str(2**63), str(2**64 - 1), str(2**64)]),
)
MISTAKES = st.one_of(
    st.sampled_from(["true", "false", "null", '"1"', "{}", "[]", "[1]", '{"data": [1]}', "NaN", "-Infinity", "1e999"]),
    st.sampled_from(["01", "1.", "+1", ".5", "-", "0x1", "1 2", "", "[", "]", "1]", "[1", "}", '"', "\\"]),
    st.sampled_from(["\0", "\xff", "\u2028", "\ufeff1"]),
)
VALUES = st.one_of(*[NUMBERS] * 20, MISTAKES)
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t\r"])


@st.composite
def lists(draw: st.DrawFn, depth: int | None = None) -> str:
    """A JSON list, mostly of numbers, mostly nested regularly; long."""
    depth = draw(st.integers(1, 4)) if depth is None else depth
    sizes = [draw(st.integers(0, 3)) for _ in range(depth)]

    def write(level: int) -> str:
        if level == depth or draw(st.integers(0, 60)) == 0:
            value: str = draw(VALUES)
            return value
        size = sizes[level] + (draw(st.integers(0, 60)) == 0)
        return f"[{draw(SPACE)}{','.join(write(level + 1) + draw(SPACE) for _ in range(size))}]"

    return write(0).replace("[", "[" + PADDING, 1)


SHAPES = st.lists(st.integers(0, 3), max_size=4)
DATATYPE = st.sampled_from(list(DATATYPES))


@given(DATATYPE, SHAPES, lists(), st.sampled_from(["data", "d\\u0061ta", "\\\\data", '\\"data', "Data"]))
@example("FP32", [2], f"[{PADDING}1,true]", "data")
@example("FP64", [2], f"[{PADDING}1,[]]", "data")
@example("FP64", [2, 1], f"[{PADDING}[1,2],[]]", "data")
@example("INT64", [1], f"[{PADDING}9223372036854775808]", "data")
@example("FP16", [1], f"[{PADDING}65520]", "data")
def test_both_parsers_agree_on_a_tensor(datatype: Datatype, shape: list[int], text: str, key: str) -> None:
    of = signature(Tensor("x", datatype, (-1,) * len(shape)))
    body = f'{{"inputs": [{{"name": "x", "datatype": "{datatype}", "shape": {shape}, "{key}": {text}}}]}}'

    decode_both_ways(v2, of, body.encode("utf-8", "surrogatepass"))


@given(DATATYPE, st.integers(0, 4), lists(), st.sampled_from(["%s", '{"rows": %s}', '{"rows":[1],"rows" :%s}', "[%s]"]))
@example("FP32", 1, f"[{PADDING}]", "%s")
@example("FP32", 2, f"[{PADDING}[],[]]", "%s")
@example("FP32", 1, f"[{PADDING}1],[1]", "%s")
def test_both_parsers_agree_on_rows(datatype: Datatype, rank: int, text: str, body: str) -> None:
    for sizes in ((-1,) * rank, (-1, 1)):
        decode_both_ways(plain, signature(Tensor("x", datatype, sizes)), (body % text).encode())


TOKENS = ['"data"', ":", ",", "[", "]", "{", "}", f"[{PADDING}1]", f"[{PADDING}2,3]", '"inputs"', '"name":"x"', '"x"']
TOKENS += ['"shape":[1]', '"datatype":"FP32"', "\\", '"', "1", '"\x7f0"', "\x7f", '"id":"\\"data\\":[1]"', '"rows"']
WHOLE = '{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[{}1]{}}}]{}}}'


@given(st.lists(st.sampled_from(TOKENS), max_size=6).map("".join), st.lists(st.sampled_from(TOKENS)).map("".join))
@example(f',"data":[{PADDING}2]', "")
@example("", f',"data":[{PADDING}2]')
@example("", f',"x":{{"data":[{PADDING}2,[]]}}')
@example("", f',"id":"\\"data\\":[{PADDING}2]"')
@example("", ',"id":"\x7f0"')
@example(',"data":"\x7f0"', "")
@example("", f',"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":"\x7f0"}}],"data":[{PADDING}2]')
def test_both_parsers_agree_on_what_belongs_to_a_tensor(inside: str, outside: str) -> None:
    decode_both_ways(v2, signature(Tensor("x", "FP32", (-1,))), WHOLE.format(PADDING, inside, outside).encode())


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "INT64", "UINT8", "UINT64"])
@pytest.mark.parametrize("shape", [(1800,), (1, 1800), (60, 30), (3, 3, 10, 20), (1800, 1)])
def test_reads_nested_and_flat_lists(datatype: Datatype, shape: tuple[int, ...]) -> None:
    values = (np.arange(1800) % 100).astype(DATATYPES[datatype]).reshape(shape)
    for data in (values.tolist(), values.ravel().tolist()):
        assert is_read(json.dumps(data), values.dtype.kind)
        tensor = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
        result = decode_both_ways(
            v2, signature(Tensor("x", datatype, (-1,) * len(shape))), json.dumps({"inputs": [tensor]}).encode()
        )
        assert result == {"x": (values.dtype, shape, repr(values.tolist()))}
    rows = {"rows": values.tolist()}
    assert (
        decode_both_ways(plain, signature(Tensor("x", datatype, (-1, *shape[1:]))), json.dumps(rows).encode()) == result
    )


def test_reads_several_tensors_beside_short_ones_and_texts() -> None:
    inputs = [
        {"name": "ids", "shape": [2000], "datatype": "INT64", "data": list(range(2000))},
        {"name": "words", "shape": [2], "datatype": "BYTES", "data": ["[1, 2]", "}"]},
        {"name": "mask", "shape": [2, 2000], "datatype": "INT64", "data": [[1] * 2000] * 2},
        {"name": "few", "shape": [2], "datatype": "FP32", "data": [1, 2]},
    ]
    body = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    text, found = cut(body, DATA)
    of = signature(*(Tensor(one["name"], one["datatype"], (-1,) * len(one["shape"])) for one in inputs))  # type: ignore

    result = decode_both_ways(v2, of, body)

    assert (len(found), len(text)) == (2, 344)
    assert {name: json.loads(one[2].replace("'", '"')) for name, one in result.items()} == {
        one["name"]: one["data"] for one in inputs
    }


def test_a_parser_keeps_the_buffers_of_short_lists_only() -> None:
    short, long = ("[" + "1," * (size // 2) + "1]" for size in (8000, numbers.MAX_KEPT))
    kept = numbers._kept_parser()

    for text in (short, long, short):
        assert is_read(text, "f")

    assert numbers._kept_parser() is kept

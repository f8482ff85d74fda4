import json
import math
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.service.errors import RequestError
from snooze.service.protocols import numbers, plain, v1, v2
from snooze.service.protocols.numbers import NotNumbers, NumberList, cut
from snooze.service.protocols.tensors import LONG_LIST, Signature, TensorSpec

PADDING = " " * LONG_LIST  # makes a short list a long one
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


def is_read(text: str, datatype: Datatype) -> bool:
    """Return whether pysimdjson reads a list."""
    try:
        NumberList(text.encode()).read(TensorSpec(Tensor("x", datatype, (-1,))))
    except NotNumbers:
        return False
    return True


WHOLE = st.one_of(
    *[st.integers(0, 127).map(str)] * 8,
    st.integers(-(2**64), 2**65).map(str),
    st.sampled_from(["-0", "-1", "128", "255", "256", "-129", "16777217", "9007199254740993", "1" * 400]),
    st.sampled_from([str(2**63 - 1), str(2**63), str(2**64 - 1), str(2**64)]),
)
NUMBERS = st.one_of(
    WHOLE,
    *[st.floats(allow_nan=False, allow_infinity=False, width=width).map(repr) for width in (16, 32, 64)],
    st.sampled_from(["-0.0", "1e5", "1E+2", "0.1e1", "1e308", "5e-324", "2.4703282292062327e-324", "1e-999"]),
    st.sampled_from(["65504", "65519.999", "65520", "3.4028235677973366e38", "3.40282356779733e38"]),
)
MISTAKES = st.one_of(
    st.sampled_from(["true", "false", "null", '"1"', "{}", "[]", "[1]", '{"data": [1]}', "NaN", "-Infinity", "1e999"]),
    st.sampled_from(["01", "1.", "+1", ".5", "-", "0x1", "1 2", "", "[", "]", "1]", "[1", "}", '"', "\\"]),
    st.sampled_from(["\0", "\xff", "\u2028", "\ufeff1", "1],[1"]),
)
SPACE = st.sampled_from(["", "", "", "", " ", "\n", "\t\r"])


@st.composite
def tensors(draw: st.DrawFn) -> tuple[Datatype, list[int], str]:
    """A datatype, a shape, and a long JSON list of numbers, flat or nested, in which something may be wrong."""
    datatype = draw(st.sampled_from(list(DATATYPES)))
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    sizes = shape if draw(st.booleans()) else [math.prod(shape)]
    mistakes = draw(st.sampled_from([0, 0, 0, 1, 2]))

    def write(level: int) -> str:
        nonlocal mistakes
        if mistakes and draw(st.integers(0, 7)) == 0:
            mistakes -= 1
            return str(draw(MISTAKES))
        if level == len(sizes):
            return str(draw(NUMBERS if datatype.startswith("FP") else WHOLE))
        return f"[{draw(SPACE)}{','.join(write(level + 1) + draw(SPACE) for _ in range(sizes[level]))}]"

    return datatype, shape, write(0).replace("[", "[" + PADDING, 1)


@given(tensors(), st.sampled_from([*["data"] * 5, "d\\u0061ta", "\\\\data", '\\"data', "Data"]))
@example(("FP32", [2], f"[{PADDING}1,true]"), "data")
@example(("FP64", [2], f"[{PADDING}1,[]]"), "data")
@example(("FP64", [2, 1], f"[{PADDING}[1,2],[]]"), "data")
@example(("INT64", [1], f"[{PADDING}9223372036854775808]"), "data")
@example(("FP16", [1], f"[{PADDING}65520]"), "data")
def test_both_parsers_agree_on_a_tensor(tensor: tuple[Datatype, list[int], str], key: str) -> None:
    datatype, shape, text = tensor
    of = signature(Tensor("x", datatype, (-1,) * len(shape)))
    body = f'{{"inputs": [{{"name": "x", "datatype": "{datatype}", "shape": {shape}, "{key}": {text}}}]}}'

    decode_both_ways(v2, of, body.encode("utf-8", "surrogatepass"))


@given(tensors(), st.sampled_from([*["%s", '{"rows": %s}'] * 3, '{"rows":[1],"rows" :%s}', "[%s]", "\ufeff%s"]))
@example(("FP32", [0], f"[{PADDING}]"), "%s")
@example(("FP32", [2, 0], f"[{PADDING}[],[]]"), "%s")
@example(("FP32", [1], f"[{PADDING}1],[1]"), "%s")
def test_both_parsers_agree_on_rows(tensor: tuple[Datatype, list[int], str], body: str) -> None:
    datatype, shape, text = tensor
    for sizes in ((-1,) * len(shape), (-1, 1)):
        decode_both_ways(plain, signature(Tensor("x", datatype, sizes)), (body % text).encode())


V1_BODIES = [
    *['{"instances": %s}', '{"inputs":%s}', '{"signature_name":"serving_default","instances":%s}'] * 3,
    *['{"instances":%s,"inputs":[1]}', '{"signature_name":"x","inputs":%s}', '{"inputs":{"x":%s}}', "%s"],
]


@given(tensors(), st.sampled_from(V1_BODIES))
def test_both_parsers_agree_on_instances(tensor: tuple[Datatype, list[int], str], body: str) -> None:
    datatype, shape, text = tensor
    for sizes in ((-1,) * len(shape), (-1, 1)):
        decode_both_ways(v1, signature(Tensor("x", datatype, sizes)), (body % text).encode())


LONG = f'"data":[{PADDING}2]'
MEMBERS = st.one_of(
    st.sampled_from(
        [f",{LONG}", f',"x":{{{LONG}}}', f',"x":[{{{LONG}}}]', f',"data" : [{PADDING}2,[]]', ',"data":[2]']
    ),
    st.sampled_from([f',"x":{{"data":[{PADDING}02]}}', f',"d\\u0061ta":[{PADDING}2]', f',"x\\"data":[{PADDING}2]']),
    st.sampled_from([f',"{key}":"{mark}"' for key in ("data", "x") for mark in ("\x7f0", "\\u007f0", "data")]),
    st.sampled_from([LONG.replace('"', escape).join([',"x":"', '"']) for escape in ("\\\\", '\\\\\\"', '"')]),
    st.sampled_from([f',"inputs":[{{"name":"x","shape":[1],"datatype":"FP32",{LONG}}}]', ',"y":true', ',"y":[true]']),
    st.sampled_from(
        [",", "]", "}", '"', "\\", ":", "1", "\xff", "[", "{", ',"parameters":{"binary_data_output":true}']
    ),
)
SOME = st.lists(MEMBERS, max_size=3).map("".join)


@given(SOME, SOME, st.sampled_from(["1", "1", "2,3", "true", "[1]", '"\x7f0"']))
@example("", f',"x":{{"data":[{PADDING}02]}}', "1")
@example(',"data":"\\u007f0"', "", "1")
@example(f',"data":"[{PADDING}2]"', "", "1")
def test_both_parsers_agree_on_what_belongs_to_a_tensor(inside: str, outside: str, values: str) -> None:
    tensor = f'{{"name":"x","shape":[1],"datatype":"FP32","data":[{PADDING}{values}]{inside}}}'

    decode_both_ways(v2, signature(Tensor("x", "FP32", (-1,))), f'{{"inputs":[{tensor}]{outside}}}'.encode("latin-1"))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "INT64", "UINT8", "UINT64"])
@pytest.mark.parametrize("shape", [(1800,), (1, 1800), (60, 30), (3, 3, 10, 20), (1800, 1)])
def test_reads_nested_and_flat_lists(datatype: Datatype, shape: tuple[int, ...]) -> None:
    values = (np.arange(1800) % 100).astype(DATATYPES[datatype]).reshape(shape)
    for data in (values.tolist(), values.ravel().tolist()):
        assert is_read(json.dumps(data), datatype)
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
        assert is_read(text, "FP32")

    assert numbers._kept_parser() is kept

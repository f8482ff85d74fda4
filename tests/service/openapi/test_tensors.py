"""A tensor's schema and the decoder agree on what fits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.service.conftest import ELEMENT_TYPES

from snooze.bundle.contract import Datatype, Tensor
from snooze.service.errors import InvalidTensor
from snooze.service.openapi.schemas import any_of
from snooze.service.openapi.tensors import flat, nested, scalar, sizes
from snooze.service.protocols.tensors import TensorSpec, count, from_json

VALUES = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(-1e38, 1e38), st.text(max_size=3), st.none()
)


def spec_of(datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(Tensor("x", datatype, shape))


def fits(schema: Any, value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
@given(value=VALUES)
def test_the_schema_and_the_decoder_agree_on_values(datatype: Datatype, value: Any) -> None:
    spec = spec_of(datatype, 1)
    try:
        from_json(spec, [1], 1, [value])
    except InvalidTensor:
        accepted = False
    else:
        accepted = True
    if isinstance(value, float) and value.is_integer() and spec.kind in "iu":
        assert not accepted  # 1.0 is an integer to JSON Schema, which has no other word for it
        return
    if spec.datatype == "FP16" and isinstance(value, int | float) and 65504 < abs(value) < 65520:
        assert accepted  # rounds to the largest number
        return

    assert fits(nested(scalar(spec), [1]), [value]) == accepted


@given(shape=st.lists(st.integers(-1, 3), max_size=3), asked=st.lists(st.integers(-1, 3), max_size=3))
def test_the_schema_and_the_decoder_agree_on_shapes(shape: list[int], asked: list[int]) -> None:
    spec = spec_of("FP32", *shape)
    try:
        count(spec, asked)
    except InvalidTensor:
        assert not fits(sizes(spec), asked)
    else:
        assert fits(sizes(spec), asked)


@given(shape=st.lists(st.integers(1, 3), min_size=1, max_size=3), data=st.data())
def test_the_schema_and_the_decoder_agree_on_nesting(shape: list[int], data: st.DataObject) -> None:
    spec = spec_of("INT8", *shape)
    value = data.draw(st.recursive(st.just(1), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=9))
    number = count(spec, shape)
    try:
        from_json(spec, shape, number, value)
    except InvalidTensor:
        accepted = False
    else:
        accepted = True

    assert fits(any_of(flat(spec), nested(scalar(spec), shape)), value) == accepted


def test_a_scalar_tensor_takes_the_value_alone() -> None:
    assert fits(scalar(spec_of("INT8")), 5)
    assert fits(flat(spec_of("INT8")), [5])
    assert not fits(flat(spec_of("INT8")), [5, 6])

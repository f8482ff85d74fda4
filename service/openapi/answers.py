"""Answers drawn for examples: written by the codec of a protocol, of outputs that no model computed."""

from math import prod
from typing import Any

import numpy as np
import orjson

from snooze.service.endpoint import Codec
from snooze.service.errors import InvalidRequest
from snooze.service.messages import Call
from snooze.service.openapi.tensors import DRAWN_SIZE, MAX_DRAWN
from snooze.service.protocols.tensors import Array, Signature, TensorSpec


def draw_answer(codec: Codec, signature: Signature) -> Any:
    """
    Return what the answer for one row looks like, the same each time.

    None if it would be too large to be read, or if the protocol has no answer by rows for these outputs.
    """
    generator = np.random.default_rng(0)
    shapes = [
        [size if size != -1 else (DRAWN_SIZE if i else 1) for i, size in enumerate(spec.shape)]
        for spec in signature.outputs.values()
    ]
    if sum(map(prod, shapes)) > MAX_DRAWN:
        return None
    arrays = [_draw(generator, signature, *one) for one in zip(signature.outputs.values(), shapes, strict=True)]
    call = Call({"": np.zeros(1)}, signature.output_names)
    try:
        return orjson.loads(codec.encode(signature, call, arrays, b"drawn")[0])
    except InvalidRequest:
        return None


def _draw(generator: np.random.Generator, signature: Signature, spec: TensorSpec, shape: list[int]) -> Array:
    if spec.kind == "O":
        return np.full(shape, signature.labels[0] if spec.role == "label" and signature.labels else "a text", object)
    if spec.kind != "f":
        return np.zeros(shape, spec.dtype)  # the first class, where it is a label
    values = generator.uniform(0, 1, shape)  # as double precision, which JSON writes with few digits
    if spec.role == "scores" and shape[-1:] != [1]:
        values = -np.sort(-values)  # the first class has the highest score
        if signature.probabilities:
            values /= values.sum(axis=-1, keepdims=True)
    return values.round(2)

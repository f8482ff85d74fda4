"""Loops in a graph, for estimators whose answer is the result of an iteration."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Nodes, Value

Step: TypeAlias = Callable[..., tuple[Value, Sequence[Value]]]


def repeat(nodes: Nodes, step: Step, most: int, state: Sequence[Value], fixed: Sequence[Value] = ()) -> list[Value]:
    """
    Repeat a step until it says so, at most `most` times, and return the state after it.

    `step(number, *state, *fixed)` adds the nodes of one step, from its number (from 0). It returns whether to go on, a
    scalar, and the next state. Constants aside, it can only use the values that it is given: `fixed` are those that
    stay the same.
    """
    from onnx import TensorProto, helper

    def declare(value: Value, shape: Sequence[int] | None = None) -> object:
        return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)

    carried = [*state, *fixed]
    number = Value(nodes, nodes.name("number"), np.int64)
    inner = [Value(nodes, nodes.name("state"), one.dtype) for one in carried]
    with nodes.collect() as collected:
        proceed, after = step(number, *inner)
        after = [*after, *inner[len(state) :]]
        results = [one.map("Identity") for one in after]  # an output of a loop's graph must not be one of its inputs
    always = nodes.name("always")
    inputs = [declare(number, ()), helper.make_tensor_value_info(always, TensorProto.BOOL, ()), *map(declare, inner)]
    body = helper.make_graph(
        collected, nodes.name("step"), inputs, [declare(proceed, ()), *(declare(one) for one in results)]
    )
    given = [nodes.constant(np.array(most)), nodes.constant(np.array(True)), *(one.name for one in carried)]
    outputs = nodes.add_several("Loop", given, [nodes.name("repeated") for _ in carried], body=body)
    return [Value(nodes, name, one.dtype) for name, one in zip(outputs, state, strict=False)]

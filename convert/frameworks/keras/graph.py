"""Converts functional Keras models to ONNX graphs with tf2onnx, with handlers for operators that it does not know."""

from typing import Any

import numpy as np

from snooze.convert.checks.graph import OPSET, rename
from snooze.convert.errors import Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import first_line
from snooze.convert.frameworks.networks import split_columns
from snooze.convert.quiet import quiet


def convert(model: Any, name: str, outputs: tuple[str, ...], binary: bool) -> Any:
    """
    Return a functional model as an `onnx.ModelProto` with these outputs. `name` is the model's name in errors.

    If it is `binary`, its only output, the probability of the second of two classes, becomes a column for each.
    """
    tf2onnx = import_extra("tensorflow", "tf2onnx")
    _register_erfc()
    try:
        with quiet():
            made, _ = tf2onnx.convert.from_keras(
                model, opset=OPSET[""], custom_op_handlers={"Bucketize": (_bucketize, [])}
            )
    except Exception as error:  # converters raise whatever their own code runs into
        raise Unsupported(name, f"tf2onnx fails with {type(error).__name__}: {first_line(error)}") from None
    # tf2onnx leaves TensorFlow operators that it does not know in the graph, and only logs them.
    if unknown := _without_counterpart(made):
        problem = f"tf2onnx has no operator for {', '.join(sorted(unknown))}"
        raise Unsupported(name, f"{problem}; do that step before the rows are sent")
    made = rename(made, {value.name: new for value, new in zip(made.graph.output, outputs, strict=True)})
    return split_columns(made, outputs[0]) if binary else made


def _without_counterpart(graph: Any) -> set[str]:
    """Return the operators in a graph that ONNX does not have."""
    from onnx import defs

    versions = {entry.domain: entry.version or OPSET[""] for entry in graph.opset_import}
    nodes = graph.graph.node
    return {one.op_type for one in nodes if not defs.has(one.op_type, versions.get(one.domain, OPSET[""]), one.domain)}


class _Erfc:
    """Convert Erfc(x) to 1 - Erf(x): exact gelu uses it, and tf2onnx 1.17 does not know it."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
        from tf2onnx.utils import map_onnx_to_numpy_type

        value, out = node.input[0], node.output[0]
        shape, dtype = ctx.get_shape(out), ctx.get_dtype(out)
        ctx.remove_node(node.name)
        erf = ctx.make_node("Erf", [value], shapes=[shape], dtypes=[dtype])
        one = ctx.make_const(f"{node.name}_one", np.array(1, map_onnx_to_numpy_type(dtype)))
        ctx.make_node(
            "Sub", [one.output[0], erf.output[0]], outputs=[out], name=node.name, shapes=[shape], dtypes=[dtype]
        )


def _register_erfc() -> None:
    from tf2onnx.handler import tf_op

    tf_op("Erfc")(_Erfc)


def _bucketize(ctx: Any, node: Any, name: str, arguments: Any) -> None:
    """Convert Bucketize(x), the number of boundaries that are at most x, which keras.layers.Discretization uses."""
    from onnx import TensorProto

    value, out = node.input[0], node.output[0]
    shape, dtype = ctx.get_shape(out), ctx.get_dtype(out)
    boundaries = np.array(node.get_attr("boundaries").floats, np.float32)
    ctx.remove_node(node.name)
    axis = ctx.make_const(f"{name}_axis", np.array([-1], np.int64)).output[0]
    limits = ctx.make_const(f"{name}_boundaries", boundaries).output[0]
    number = ctx.make_node("Cast", [value], attr={"to": TensorProto.FLOAT}).output[0]
    apart = ctx.make_node("Unsqueeze", [number, axis]).output[0]
    reached = ctx.make_node("GreaterOrEqual", [apart, limits]).output[0]
    ones = ctx.make_node("Cast", [reached], attr={"to": dtype}).output[0]
    ctx.make_node(
        "ReduceSum", [ones, axis], attr={"keepdims": 0}, outputs=[out], name=node.name, shapes=[shape], dtypes=[dtype]
    )

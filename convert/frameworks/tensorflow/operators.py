"""Handlers for operators that tf2onnx 1.17 does not convert."""

from typing import Any

import numpy as np


def register() -> None:
    """Make tf2onnx use the handlers of this module."""
    from tf2onnx.handler import tf_op

    handlers = {
        "Erfc": _Erfc,
        "Bucketize": _Bucketize,
        "LookupTableFindV2": _Lookup,
        "TFL_Convolution2DTransposeBias": _TransposedConvolution,
    }
    for operator, handler in handlers.items():
        tf_op(operator)(handler)


class _Erfc:
    """Convert Erfc(x) to 1 - Erf(x): exact gelu uses it."""

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


class _Bucketize:
    """Convert Bucketize(x), the number of boundaries that are at most x, which keras.layers.Discretization uses."""

    @classmethod
    def version_13(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
        from onnx import TensorProto

        value, out, name = node.input[0], node.output[0], node.name
        shape, dtype = ctx.get_shape(out), ctx.get_dtype(out)
        boundaries = np.array(node.get_attr("boundaries").floats, np.float32)
        ctx.remove_node(name)
        axis = ctx.make_const(f"{name}_axis", np.array([-1], np.int64)).output[0]
        limits = ctx.make_const(f"{name}_boundaries", boundaries).output[0]
        number = ctx.make_node("Cast", [value], attr={"to": TensorProto.FLOAT}).output[0]
        apart = ctx.make_node("Unsqueeze", [number, axis]).output[0]
        reached = ctx.make_node("GreaterOrEqual", [apart, limits]).output[0]
        ones = ctx.make_node("Cast", [reached], attr={"to": dtype}).output[0]
        ctx.make_node(
            "ReduceSum", [ones, axis], attr={"keepdims": 0}, outputs=[out], name=name, shapes=[shape], dtypes=[dtype]
        )


class _Lookup:
    """Convert a lookup of integers in a table of integers, as of IntegerLookup; tf2onnx converts those with texts."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, initialized_tables: Any, **kwargs: Any) -> None:
        from onnx import TensorProto
        from tf2onnx.custom_opsets.onnx_ml import LookupTableFind

        key, out = node.input[1], node.output[0]
        shape = ctx.get_shape(key)
        if {ctx.get_dtype(key), ctx.get_dtype(out)} != {TensorProto.INT64}:
            LookupTableFind.version_8(ctx, node, initialized_tables=initialized_tables, **kwargs)
            return
        table = node.inputs[0]
        keys, values = initialized_tables[table.get_attr_value("shared_name")]
        attributes = {
            "keys_int64s": keys.tolist(),
            "values_int64s": values.tolist(),
            "default_int64": int(node.inputs[2].get_tensor_value()),
        }
        ctx.remove_node(node.name)
        ctx.make_node(
            "LabelEncoder", [key], attr=attributes, outputs=[out], name=node.name, shapes=[shape],
            dtypes=[TensorProto.INT64], domain="ai.onnx.ml",
        )  # fmt: skip
        if not ctx.find_output_consumers(table.output[0]):
            ctx.remove_node(table.name)


class _TransposedConvolution:
    """
    Convert mediapipe's transposed convolution in TFLite files, whose bias is an input.

    tf2onnx cannot read its stride, so only the usual kind converts: the stride is the size of the kernel.
    """

    @classmethod
    def version_13(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
        from tf2onnx.utils import make_sure

        image, weights, bias = node.input
        out, name = node.output[0], node.name
        shape, dtype = ctx.get_shape(out), ctx.get_dtype(out)
        kernel, size = ctx.get_shape(weights)[1:3], ctx.get_shape(image)[1:3]
        make_sure([one * by for one, by in zip(size, kernel, strict=True)] == shape[1:3], "overlapping steps")
        ctx.remove_node(name)
        channels_first = ctx.make_node("Transpose", [image], attr={"perm": [0, 3, 1, 2]}).output[0]
        inputs_first = ctx.make_node("Transpose", [weights], attr={"perm": [3, 0, 1, 2]}).output[0]
        made = ctx.make_node("ConvTranspose", [channels_first, inputs_first, bias], attr={"strides": kernel}).output[0]
        ctx.make_node(
            "Transpose", [made], attr={"perm": [0, 2, 3, 1]}, outputs=[out], name=name, shapes=[shape], dtypes=[dtype]
        )

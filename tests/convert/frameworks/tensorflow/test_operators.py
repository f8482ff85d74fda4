from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.frameworks.keras.framework import FRAMEWORK
from snooze.convert.frameworks.tensorflow import operators

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    ("build", "rows"),
    [
        (lambda one: [one.Input((2,)), one.Dense(3, activation="gelu")], [[-3.0, 0.5], [0.0, 2.0]]),
        (lambda one: [one.Input((2,)), one.Discretization([-1.0, 0.0, 1.0])], [[-1.0, -0.9], [1.0, 7.0]]),
        (lambda one: [one.Input((1,), dtype="int64"), one.IntegerLookup(vocabulary=[30, -7])], [[30], [-7], [5]]),
        (
            lambda one: [one.Input((1,), dtype="string"), one.StringLookup(vocabulary=["no", "yes"])],
            [["yes"], ["no"], ["perhaps"]],
        ),
    ],
)
def test_converts_operators_that_tf2onnx_does_not_know(
    keras: ModuleType, converter: Callable[..., Any], build: Callable[[Any], list[Any]], rows: list[Any]
) -> None:
    data = np.array(rows, object if isinstance(rows[0][0], str) else None)

    _, conversion = converter(FRAMEWORK)(keras.Sequential(build(keras.layers)), data)

    assert conversion.parity.verdict == "agrees"
    assert conversion.parity.data.worst < 1e-6


def test_converts_the_transposed_convolution_of_mediapipe(tf: ModuleType) -> None:
    from onnx import TensorProto, helper
    from onnxruntime import InferenceSession
    from tf2onnx.graph import Graph

    generator = np.random.default_rng(0)
    shapes = {"image": (1, 3, 5, 4), "weights": (2, 2, 2, 4), "bias": (2,)}
    arrays = {name: generator.random(shape, np.float32) for name, shape in shapes.items()}
    node = helper.make_node("TFL_Convolution2DTransposeBias", [*arrays], ["out"], name="segment")
    graph = Graph([node], {"out": [1, 6, 10, 2]}, {"out": TensorProto.FLOAT}, opset=18, output_names=["out"])
    for name, array in arrays.items():
        graph.make_const(name, array)

    operators._TransposedConvolution.version_13(graph, graph.get_node_by_name("segment"))

    (made,) = InferenceSession(graph.make_model("m").SerializeToString()).run(None, {})
    weights = arrays["weights"].transpose(1, 2, 0, 3)
    expected = tf.nn.conv2d_transpose(arrays["image"], weights, [1, 6, 10, 2], 2) + arrays["bias"]
    np.testing.assert_allclose(made, expected, atol=1e-5)

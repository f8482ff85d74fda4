import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import MissingExtra
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Domain
from snooze.convert.frameworks.tensorflow import graph
from snooze.convert.frameworks.tensorflow.graph import Frozen, Function, convert, find_activation, find_domain, freeze

pytestmark = pytest.mark.framework

ROWS = Tensor("rows", "FP32", (-1, 3))
IDS = Tensor("ids", "INT32", (-1, 2))


def frozen(call: Any, *inputs: Tensor, owner: Any = None) -> Frozen:
    return freeze(Function("Own", inputs, call, owner))


def test_a_graph_keeps_names_and_shapes(tf: ModuleType) -> None:
    made = frozen(lambda rows, scale: {"b": rows * scale, "a": rows[:, :1]}, ROWS, Tensor("scale", "FP32", ()))

    proto = convert(made, "Own", ["rows", "scale"], made.keys, [(-1, 1), (-1, 3)])

    assert made.keys == ("a", "b")
    assert made.shapes == [(-1, 1), (-1, 3)]
    assert [one.name for one in proto.graph.input] == ["rows", "scale"]
    assert [one.name for one in proto.graph.output] == ["a", "b"]


def test_variables_and_captured_arrays_become_constants(tf: ModuleType) -> None:
    weights, shift = tf.Variable(np.ones((3, 2), np.float32)), tf.constant(np.ones(2, np.float32))

    made = frozen(lambda rows: rows @ weights + shift, ROWS)

    assert {node.op for node in made.graph.node}.isdisjoint({"ReadVariableOp", "VarHandleOp"})
    assert [one.name for one in convert(made, "Own", ["rows"], ["sum"], [(-1, 2)]).graph.input] == ["rows"]


def test_a_shape_that_tensorflow_does_not_know_is_declared(tf: ModuleType) -> None:
    made = frozen(lambda rows, shape: tf.reshape(rows, shape), ROWS, Tensor("shape", "INT32", (-1,)))

    proto = convert(made, "Own", ["rows", "shape"], ["out"], [(-1, 1)])

    (first, second) = proto.graph.output[0].type.tensor_type.shape.dim
    assert made.shapes == [None]
    assert (first.dim_param, second.dim_value) == ("batch", 1)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_finds_the_activation(tf: ModuleType, name: str) -> None:
    function = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[name]

    made = frozen(lambda rows: (tf.identity(function(rows)), rows), ROWS)

    assert [find_activation(made, at) for at in range(2)] == [name, None]


def test_finds_what_inputs_take(tf: ModuleType) -> None:
    table = tf.Variable(np.ones((50, 4), np.float32))
    words = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["b", "a"], tf.constant([1, 2], tf.int64)), 0)
    owner = tf.Module()
    owner.words = words

    def domain(call: Any, tensor: Tensor) -> Domain:
        return find_domain(frozen(call, tensor, owner=owner), 0, tensor)

    assert domain(lambda ids: tf.gather(table, tf.reshape(ids, [-1])), IDS).most == 49
    assert domain(lambda ids: tf.one_hot(ids, 7), IDS).most == 6
    assert domain(lambda ids: ids + 1, IDS) == Domain()
    assert domain(lambda text: words.lookup(text), Tensor("text", "BYTES", (-1,))).choices == ("a", "b", "unknown")
    assert domain(lambda image: tf.cast(image, tf.float32), Tensor("image", "UINT8", (-1, 4)))[2:4] == (0, 255)
    assert domain(lambda image: tf.cast(image, tf.float32), Tensor("image", "INT8", (-1, 4)))[2:4] == (-128, 127)
    assert domain(lambda rows: rows * 0.01, ROWS)[:2] == pytest.approx((50, 25))
    center = domain(lambda rows: rows - np.array([[1, 2, 3]], np.float32), ROWS).center
    assert np.asarray(center).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (
            lambda tf: lambda rows: tf.py_function(lambda one: one, [rows], tf.float32),
            "it calls Python code (EagerPyFunc",
        ),
        (lambda tf: lambda rows: rows + tf.strings.to_number(tf.io.read_file("x")), "it uses files (ReadFile at"),
        (
            lambda tf: lambda rows: rows + tf.cast(tf.size(tf.io.matching_files("*")), tf.float32),
            "it uses files (Match",
        ),
        (lambda tf: lambda rows: rows @ tf.ones((2, 2)), "TensorFlow cannot trace it: Dimensions must be equal"),
        (lambda tf: lambda rows: 1 / 0, "TensorFlow cannot trace it: division by zero"),
    ],
)
def test_functions_that_cannot_be_converted_are_refused(tf: ModuleType, call: Any, problem: str) -> None:
    with pytest.raises(Unsupported) as caught:
        frozen(call(tf), ROWS)

    assert caught.value.problem.startswith(problem)
    assert "\n" not in caught.value.problem


def test_files_used_inside_a_loop_are_found(tf: ModuleType) -> None:
    def call(rows: Any) -> Any:
        return tf.while_loop(lambda one: True, lambda one: one + tf.strings.to_number(tf.io.read_file("x")), [rows])

    with pytest.raises(Unsupported, match="it uses files"):
        frozen(call, ROWS)


def test_operators_without_a_counterpart_are_named_with_their_place(tf: ModuleType) -> None:
    def call(text: Any) -> Any:
        with tf.name_scope("clean"):
            return tf.strings.regex_replace(tf.strings.lower(text), "a", "b")

    made = frozen(call, Tensor("text", "BYTES", (-1,)))
    with pytest.raises(Unsupported) as caught:
        convert(made, "Own", ["text"], ["out"], [(-1,)])

    assert caught.value.problem == (
        "ONNX has no operator for StaticRegexReplace (at clean); do that step before the rows are sent"
    )


def test_a_failing_converter_is_named(tf: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("no such node")

    made = frozen(lambda rows: rows, ROWS)
    monkeypatch.setattr("tf2onnx.tfonnx.process_tf_graph", fail)
    with pytest.raises(Unsupported) as caught:
        convert(made, "Own", ["rows"], ["out"], [(-1, 3)])

    assert caught.value.problem == "tf2onnx fails with KeyError: 'no such node'"


@pytest.mark.parametrize("module", ["tensorflow", "tf2onnx"])
def test_names_the_missing_extra(tf: ModuleType, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra) as caught:
        frozen(lambda rows: rows, ROWS)

    assert (caught.value.module, caught.value.extra) == (module, "tensorflow")


def test_the_cause_of_an_error_is_its_own_line() -> None:
    text = (
        "Exception encountered when calling A.\n\n\x1b[1mNo {{function_node x}} rows. [Op:Add]\x1b[0m\n\nArguments: x"
    )

    assert graph.cause(ValueError(text)) == "No  rows"
    assert graph.cause(ValueError()) == "ValueError"

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.tensorflow.framework import FRAMEWORK

pytestmark = pytest.mark.framework

ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(scope="session")
def line(tf: ModuleType) -> type:
    class Line(tf.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self.weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))

        def __call__(self, rows: Any) -> Any:
            return rows @ self.weights

    return Line


def test_a_module_converts_with_rows(tf: ModuleType, converter: Callable[..., Any], line: type) -> None:
    original, conversion = converter(FRAMEWORK)(line(), ROWS)

    assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [("rows", "FP32", (-1, 3))]
    assert [(one.name, one.role) for one in conversion.outputs] == [("value", "value")]
    assert (original.framework, original.model) == ("tensorflow", "Line")


def test_a_module_without_a_signature_needs_rows(tf: ModuleType, line: type) -> None:
    with pytest.raises(InvalidData) as caught:
        FRAMEWORK.signature(line())

    assert caught.value.problem == "the shapes of rows are not known; add rows, from which they show"


def test_a_loaded_folder_converts(tf: ModuleType, converter: Callable[..., Any], line: type, tmp_path: Any) -> None:
    module = line()
    call = tf.function(module.__call__, input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": call})

    for model in (tf.saved_model.load(str(tmp_path)), FRAMEWORK.load(tmp_path).model):
        _, conversion = converter(FRAMEWORK)(model)
        assert [(one.name, one.shape) for one in conversion.inputs] == [("rows", (-1, 3))]


def test_functions_have_the_inputs_of_their_signature(tf: ModuleType) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([], tf.float32)])
    def above(rows: Any, threshold: Any) -> Any:
        return {"above": tf.cast(rows > threshold, tf.int32), "count": tf.shape(rows)[0]}

    concrete = above.get_concrete_function()
    for model in (above, concrete):
        inputs = FRAMEWORK.signature(model)
        original = FRAMEWORK.describe(model, inputs)

        assert {one.tensor.name: (one.tensor.shape, one.axis) for one in inputs} == {
            "rows": ((-1, 3), 0),
            "threshold": ((), None),
        }
        answer = original.run({"rows": ROWS, "threshold": np.array(0.5)})
        assert (answer["above"].sum().item(), answer["count"].item()) == (3, 4)


def test_one_of_several_functions_is_not_guessed(tf: ModuleType) -> None:
    module = tf.Module()
    with pytest.raises(Unsupported, match=r"it has no function, and no __call__; give the tf.function itself"):
        FRAMEWORK.signature(module)

    signature = [tf.TensorSpec([None, 3], tf.float32)]
    module.left = tf.function(lambda rows: rows, input_signature=signature)
    assert len(FRAMEWORK.signature(module)) == 1

    module.right = tf.function(lambda rows: rows, input_signature=signature)
    with pytest.raises(Unsupported, match=r"it has the functions left, right, and no __call__; give the tf.function"):
        FRAMEWORK.signature(module)


def test_an_unknown_rank_shows_in_rows(tf: ModuleType) -> None:
    call = tf.function(lambda rows: tf.nn.relu(rows), input_signature=[tf.TensorSpec(None, tf.float32)])

    with pytest.raises(InvalidData):
        FRAMEWORK.signature(call)
    assert [one.tensor.shape for one in FRAMEWORK.signature(call, {"": ROWS})] == [(-1, 3)]


def test_only_models_of_tensorflow_are_recognized(tf: ModuleType) -> None:
    assert FRAMEWORK.recognizes(tf.Module())
    assert FRAMEWORK.recognizes(tf.function(lambda: 1))
    assert not FRAMEWORK.recognizes(object())

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.errors import NotAModel, Unsupported
from snooze.convert.frameworks.tensorflow.lite import FRAMEWORK, Lite
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

IMAGES = np.random.default_rng(0).random((40, 6, 6, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def save(tf: ModuleType, keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Lite]:
    """Convert a small convolutional network to TFLite, and load it."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((6, 6, 1), name="image"),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )

    def save(datatype: Any = None, quantize: bool = False) -> Lite:
        path = tmp_path_factory.mktemp("lite") / "m.tflite"
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[None]] for image in IMAGES)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = datatype or tf.float32
        with quiet():
            path.write_bytes(converter.convert())
        model_: Lite = FRAMEWORK.load(path).model
        return model_

    return save


def test_converts_floats(converter: Callable[..., Any], save: Callable[..., Lite]) -> None:
    original, conversion = converter(FRAMEWORK)(save(), IMAGES)

    assert [(one.name, one.shape) for one in conversion.inputs] == [("image", (-1, 6, 6, 1))]
    assert [(one.name, one.role) for one in conversion.outputs] == [("probabilities", "scores")]
    assert (original.framework, original.classes) == ("tflite", (0, 1, 2, 3))
    assert original.inputs[0].domain[:2] == (0.5, 0.25)
    assert conversion.parity.data.worst < 1e-6


@pytest.mark.parametrize(("datatype", "least", "most"), [("uint8", 0, 255), ("int8", -128, 127)])
def test_converts_8_bits(
    tf: ModuleType, converter: Callable[..., Any], save: Callable[..., Lite], datatype: str, least: int, most: int
) -> None:
    rows = (IMAGES * 255 + least).astype(datatype)

    original, conversion = converter(FRAMEWORK)(save(getattr(tf, datatype), quantize=True), rows)

    assert [one.datatype for one in (*conversion.inputs, *conversion.outputs)] == [datatype.upper()] * 2
    assert (original.inputs[0].domain.least, original.inputs[0].domain.most) == (least, most)
    assert original.task == "classification"


@pytest.fixture
def convert_function(tf: ModuleType, tmp_path: Path) -> Callable[..., Lite]:
    """Convert a function to TFLite, and load it."""

    def convert(call: Callable[..., Any], *specs: Any) -> Lite:
        concrete = tf.function(call, input_signature=specs).get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        with quiet():
            (tmp_path / "m.tflite").write_bytes(converter.convert())
        model: Lite = FRAMEWORK.load(tmp_path / "m.tflite").model
        return model

    return convert


def test_a_fixed_number_of_rows_is_no_dimension_of_rows(tf: ModuleType, convert_function: Callable[..., Lite]) -> None:
    model = convert_function(lambda rows: tf.sigmoid(rows[:, :1]), tf.TensorSpec([1, 3], tf.float32))

    (found,) = FRAMEWORK.signature(model)
    original = FRAMEWORK.describe(model, (found,))

    assert (found.tensor.shape, found.axis) == ((1, 3), None)
    answer = original.run({found.tensor.name: np.zeros((1, 3))})
    assert [one.tolist() for one in answer.values()] == [[[0.5, 0.5]]]
    assert [one.name for one in original.attempts[0].convert().graph.output] == list(answer)


def test_a_variable_length_is_as_long_as_sound(tf: ModuleType, convert_function: Callable[..., Lite]) -> None:
    model = convert_function(lambda sound: tf.abs(sound), tf.TensorSpec([None, None], tf.float32))

    (found,) = FRAMEWORK.signature(model)

    assert (found.tensor.shape, min(found.domain.lengths)) == ((-1, -1), 800)


def test_several_inputs_keep_their_names(tf: ModuleType, convert_function: Callable[..., Lite]) -> None:
    size, other = tf.TensorSpec([None, 2], tf.float32, name="size"), tf.TensorSpec([None, 2], tf.float32, name="other")
    model = convert_function(lambda size, other: size - 2 * other, size, other)

    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model))
    graph = original.attempts[0].convert()

    assert sorted(one.name for one in graph.graph.input) == ["other", "size"]
    (answer,) = original.run({"size": np.ones((3, 2)), "other": np.zeros((3, 2))}).values()
    assert answer.tolist() == [[1, 1]] * 3


def test_rows_that_are_not_accepted_raise_a_value_error(save: Callable[..., Lite]) -> None:
    model = save()
    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model))

    with pytest.raises(ValueError, match="dimension"):
        original.run({"image": np.ones((1, 5, 6, 1))})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a .tflite file"),
        (b"PK\x03\x04", "is not a .tflite file"),
        (b"\x1c\0\0\0TFL3" + bytes(40), "cannot be read: "),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "m.tflite").write_bytes(content)

    with pytest.raises(NotAModel) as caught:
        FRAMEWORK.load(tmp_path / "m.tflite")

    assert caught.value.problem.startswith(problem)
    assert "\n" not in caught.value.problem


def test_operators_of_others_are_named(tf: ModuleType, tmp_path: Path) -> None:
    concrete = tf.function(lambda rows: tf.nn.erosion2d(rows, tf.ones((2, 2, 1)), [1] * 4, "SAME", "NHWC", [1] * 4))
    spec = tf.TensorSpec([1, 4, 4, 1], tf.float32)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete.get_concrete_function(spec)])
    converter.allow_custom_ops = True
    with quiet():
        (tmp_path / "m.tflite").write_bytes(converter.convert())

    with pytest.raises(Unsupported, match=r"it uses the operator .*, which TensorFlow does not have; do that step"):
        FRAMEWORK.load(tmp_path / "m.tflite")


def test_only_its_own_files_are_recognized(tmp_path: Path, save: Callable[..., Lite]) -> None:
    assert FRAMEWORK.recognizes_file(save().path)
    assert not FRAMEWORK.recognizes_file(tmp_path)
    assert not FRAMEWORK.recognizes(object())

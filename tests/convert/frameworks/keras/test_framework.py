import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.attempts import Agreed, agree
from snooze.convert.checks.synthetic import drawn
from snooze.convert.errors import InvalidData, MissingExtra, NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Original
from snooze.convert.frameworks.keras import framework as from_tensorflow
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.slow

Convert = Callable[..., tuple[Original, Agreed]]
Layers = Callable[[Any], list[Any]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Convert a Keras model and compare it on rows drawn from its signature."""

    def convert(model: Any, labels: Any = None, names: tuple[str, ...] | None = None) -> tuple[Original, Agreed]:
        original = from_tensorflow.original(model, None if labels is None else np.asarray(labels), names)
        return original, agree(original, drawn(original.inputs, 40), tmp_path)

    return convert


def save(model: Any, path: Path) -> None:
    with quiet():  # Keras 3.15 warns of numpy's array protocol
        model.save(path)


def conv(layers: Any) -> list[Any]:
    return [
        layers.Input((8, 8, 1), name="image"),
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]


def gelu(layers: Any) -> list[Any]:
    return [layers.Input((5,), name="features"), layers.Dense(8, activation="gelu"), layers.Dense(1)]


def bins(layers: Any) -> list[Any]:
    return [layers.Input((3,), name="features"), layers.Discretization([-1.0, 0.0, 1.0]), layers.Dense(2)]


def words(layers: Any) -> list[Any]:
    return [
        layers.Input((None,), dtype="int32", name="words"),
        layers.Embedding(2, 4),
        layers.LSTM(4),
        layers.Dense(3, activation="softmax"),
    ]


def normal(layers: Any) -> list[Any]:
    return [
        layers.Input((3,), name="features"),
        layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 4, 9]),
        layers.Dense(4),
        layers.Softmax(),
    ]


@pytest.mark.parametrize(
    ("build", "takes", "gives"),
    [
        (conv, ("image", "FP32", (-1, 8, 8, 1)), ("probabilities", "FP32", (-1, 10), "scores")),
        (gelu, ("features", "FP32", (-1, 5)), ("value", "FP32", (-1, 1), "value")),
        (bins, ("features", "FP32", (-1, 3)), ("value", "FP32", (-1, 2), "value")),
        (words, ("words", "INT32", (-1, -1)), ("probabilities", "FP32", (-1, 3), "scores")),
        (normal, ("features", "FP32", (-1, 3)), ("probabilities", "FP32", (-1, 4), "scores")),
    ],
)
def test_converts_sequential_nets(
    keras: ModuleType, convert: Convert, build: Layers, takes: tuple[Any, ...], gives: tuple[Any, ...]
) -> None:
    original, agreed = convert(keras.Sequential(build(keras.layers)))

    assert [(one.name, one.datatype, one.shape) for one in agreed.inputs] == [takes]
    assert [(one.name, one.datatype, one.shape, one.role) for one in agreed.outputs] == [gives]
    assert original.task == ("classification" if gives[3] == "scores" else "regression")
    assert original.framework == "keras"
    assert agreed.parity["worst"] < 1e-5


def test_several_inputs_and_outputs_keep_their_names(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    height, weight = keras.Input((2,), name="height"), keras.Input((3,), name="weight")
    both = layers.Concatenate()([height, weight])
    sex = layers.Dense(2, activation="softmax", name="sex")(both)
    model = keras.Model([weight, height], [sex, layers.Dense(1, name="age")(height)])

    original, agreed = convert(model)

    assert [(one.name, one.shape) for one in agreed.inputs] == [("weight", (-1, 3)), ("height", (-1, 2))]
    assert [(one.name, one.shape, one.role) for one in agreed.outputs] == [
        ("sex", (-1, 2), "scores"),
        ("age", (-1, 1), None),
    ]
    assert (original.task, original.classes) == (None, None)


def test_inputs_by_name_are_fed_by_name(keras: ModuleType, convert: Convert) -> None:
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model({"b": first, "a": second}, keras.layers.Subtract()([first, second]))

    original, agreed = convert(model)

    assert sorted(one.name for one in agreed.inputs) == ["a", "b"]
    answer = original({"a": np.ones((1, 2), np.float32), "b": np.full((1, 2), 5, np.float32)})
    assert next(iter(answer.values())).tolist() == [[4, 4]]


def test_a_single_sigmoid_becomes_two_columns(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1, activation="sigmoid")])

    original, agreed = convert(model)

    assert (original.task, original.classes) == ("classification", (0, 1))
    assert [(one.name, one.shape, one.role) for one in agreed.outputs] == [("probabilities", (-1, 2), "scores")]
    rows = drawn(original.inputs, 5).inputs
    np.testing.assert_allclose(original(rows)["probabilities"][:, 1:], model(next(iter(rows.values()))), rtol=1e-6)


def test_logits_classify_if_labels_or_names_say_so(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(4)])

    assert convert(model)[0].task == "regression"
    assert convert(model, labels=[0.5, 1.5])[0].task == "regression"
    assert convert(model, labels=[0, 4])[0].task == "regression"  # there is no fifth column
    for original, agreed in (convert(model, labels=[0, 3, 1]), convert(model, names=("a", "b", "c", "d"))):
        assert (original.task, original.decides) == ("classification", "scores")
        assert [(one.name, one.role) for one in agreed.outputs] == [("scores", "scores")]


def test_a_model_that_ends_in_a_model_is_seen_through(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    head = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])

    original, _ = convert(keras.Sequential([layers.Input((2,)), layers.Dense(4), head]))

    assert original.task == "classification"


def test_reads_a_keras_file(keras: ModuleType, tmp_path: Path) -> None:
    model = keras.Sequential(conv(keras.layers))
    model.compile("adam", "mse")
    save(model, tmp_path / "m.keras")

    (takes,) = from_tensorflow.inputs(from_tensorflow.load(tmp_path / "m.keras")[0])

    assert (takes.name, takes.shape) == ("image", (-1, 8, 8, 1))


def test_code_in_a_keras_file_is_refused(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    save(keras.Sequential([layers.Input((2,)), layers.Lambda(lambda x: x * 2)]), tmp_path / "m.keras")

    with pytest.raises(NotAModel) as caught:
        from_tensorflow.load(tmp_path / "m.keras")

    assert str(caught.value) == (
        f"{tmp_path}/m.keras: cannot be read: it holds a Lambda layer, which is code; replace it by a layer of Keras"
    )


def test_a_damaged_keras_file_is_told_in_one_line(keras: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    save(keras.Sequential(conv(keras.layers)), path)
    data = bytearray(path.read_bytes())
    data[400:700] = bytes(300)
    path.write_bytes(data)

    with pytest.raises(NotAModel) as caught:
        from_tensorflow.load(path)

    assert str(caught.value).startswith(f"{path}: cannot be read: ")
    assert "\n" not in str(caught.value)


def test_an_h5_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n")

    with pytest.raises(NotAModel, match=r"is an \.h5 file; load it in Keras and save it as \.keras$"):
        from_tensorflow.load(tmp_path / "m.h5")


def test_what_is_not_built_is_not_fitted(keras: ModuleType) -> None:
    with pytest.raises(Unfitted, match=r"the Sequential is not fitted; call fit \(or build\) on it"):
        from_tensorflow.inputs(keras.Sequential([keras.layers.Dense(2)]))


def test_a_layer_is_no_model(keras: ModuleType) -> None:
    with pytest.raises(NotAModel, match="Dense: is not a Keras model; a layer alone cannot be converted"):
        from_tensorflow.inputs(keras.layers.Dense(2))


def test_a_subclassed_model_must_be_wrapped(keras: ModuleType, convert: Convert) -> None:
    class Own(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2, activation="softmax")

        def call(self, rows: Any) -> Any:
            return self.dense(rows)

    model = Own()
    model(np.zeros((1, 3), np.float32))

    with pytest.raises(Unsupported, match=r"it is subclassed, so its inputs are not known; wrap it: x = keras\.Input"):
        from_tensorflow.inputs(model)

    rows = keras.Input((3,), name="rows")
    original, agreed = convert(keras.Model(rows, model(rows)))
    assert [(one.name, one.shape) for one in agreed.inputs] == [("rows", (-1, 3))]
    assert [(one.name, one.role) for one in agreed.outputs] == [("probabilities", "scores")]
    assert original.task == "classification"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dtype": "string", "shape": (1,)}, "takes string; encode it as numbers before"),
        ({"batch_shape": (4, 3)}, "has a fixed number of rows; leave batch_size out"),
    ],
)
def test_inputs_that_are_not_served_are_refused(keras: ModuleType, options: dict[str, Any], problem: str) -> None:
    rows = keras.Input(**options, name="x")
    model = keras.Model(rows, keras.layers.Identity()(rows))

    with pytest.raises(Unsupported, match=f"input 'x' {problem}"):
        from_tensorflow.inputs(model)


def test_steps_without_a_counterpart_are_named(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,), dtype="int32"), layers.Hashing(5), layers.Dense(2)])

    with pytest.raises(Unsupported) as caught:
        convert(model)

    assert str(caught.value) == (
        "Sequential cannot be converted: tf2onnx has no operator for StringToHashBucketFast; "
        "do that step before the rows are sent"
    )


@pytest.mark.parametrize("module", ["keras", "tensorflow"])
def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=f"'{module}' is not installed; run: pip install 'snooze\\[tensorflow\\]'"):
        from_tensorflow.keras()


def test_says_that_tf2onnx_is_missing(keras: ModuleType, convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)

    with pytest.raises(MissingExtra, match=r"'tf2onnx' is not installed; run: pip install 'snooze\[tensorflow\]'"):
        convert(keras.Sequential(gelu(keras.layers)))


def test_rows_that_the_net_cannot_take_are_told_in_one_line(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    net = keras.Sequential([layers.Input((None, None, 1)), layers.Flatten(), layers.Reshape((4, 4))])

    with pytest.raises(InvalidData) as caught:
        convert(net)

    assert str(caught.value).startswith("the rows given: Sequential refuses them: The total size of the tensor must be")
    assert str(caught.value).isprintable()

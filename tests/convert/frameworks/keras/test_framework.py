import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData, MissingExtra
from snooze.bundle.rows.drawing import draw
from snooze.convert.attempts import Conversion
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Framework, Hints, Original
from snooze.convert.frameworks.keras.framework import FRAMEWORK, import_keras
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


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
        (words, ("words", "INT32", (-1, -1)), ("probabilities", "FP32", (-1, 3), "scores")),
        (normal, ("features", "FP32", (-1, 3)), ("probabilities", "FP32", (-1, 4), "scores")),
    ],
)
def test_converts_sequential_networks(
    keras: ModuleType,
    convert: Convert,
    build: Callable[[Any], list[Any]],
    takes: tuple[Any, ...],
    gives: tuple[Any, ...],
) -> None:
    original, conversion = convert(keras.Sequential(build(keras.layers)))

    assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [takes]
    assert [(one.name, one.datatype, one.shape, one.role) for one in conversion.outputs] == [gives]
    assert original.task == ("classification" if gives[3] == "scores" else "regression")
    assert original.framework == "keras"
    assert conversion.parity.data.worst < 1e-5


def test_several_inputs_and_outputs_keep_their_names(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    height, weight = keras.Input((2,), name="height"), keras.Input((3,), name="weight")
    both = layers.Concatenate()([height, weight])
    sex = layers.Dense(2, activation="softmax", name="sex")(both)
    model = keras.Model([weight, height], [sex, layers.Dense(1, name="age")(height)])

    original, conversion = convert(model)

    assert [(one.name, one.shape) for one in conversion.inputs] == [("weight", (-1, 3)), ("height", (-1, 2))]
    assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [
        ("sex", (-1, 2), "scores"),
        ("age", (-1, 1), None),
    ]
    assert (original.task, original.classes) == (None, None)


def test_inputs_by_name_are_fed_by_name(keras: ModuleType, convert: Convert) -> None:
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model({"b": first, "a": second}, keras.layers.Subtract()([first, second]))

    original, conversion = convert(model)

    assert sorted(one.name for one in conversion.inputs) == ["a", "b"]
    answer = original.run({"a": np.ones((1, 2), np.float32), "b": np.full((1, 2), 5, np.float32)})
    assert next(iter(answer.values())).tolist() == [[4, 4]]


def test_a_single_sigmoid_becomes_two_columns(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1, activation="sigmoid")])

    original, conversion = convert(model)

    assert (original.task, original.classes) == ("classification", (0, 1))
    assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [("probabilities", (-1, 2), "scores")]
    rows = draw([one.tensor for one in original.inputs], 5)
    np.testing.assert_allclose(original.run(rows)["probabilities"][:, 1:], model(next(iter(rows.values()))), rtol=1e-6)


def test_logits_classify_if_labels_or_names_fit(keras: ModuleType) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(4)])

    signature = FRAMEWORK.signature(model)

    def describe(labels: list[float] | None = None, names: tuple[str, ...] | None = None) -> Original:
        return FRAMEWORK.describe(model, signature, Hints(None if labels is None else np.asarray(labels), names))

    assert describe().task == "regression"
    assert describe(labels=[0.5, 1.5]).task == "regression"
    assert describe(labels=[0, 4]).task == "regression"  # there is no fifth column
    for original in (describe(labels=[0, 3, 1]), describe(names=("a", "b", "c", "d"))):
        assert (original.task, original.decides, original.roles) == ("classification", "scores", {"scores": "scores"})


def test_the_activation_of_an_inner_model_counts(keras: ModuleType) -> None:
    layers = keras.layers
    head = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])

    model = keras.Sequential([layers.Input((2,)), layers.Dense(4), head])

    assert FRAMEWORK.describe(model, FRAMEWORK.signature(model)).task == "classification"


def test_a_model_that_is_not_built_is_refused(keras: ModuleType) -> None:
    with pytest.raises(Unfitted, match=r"the Sequential is not fitted; call fit \(or build\) on it"):
        FRAMEWORK.signature(keras.Sequential([keras.layers.Dense(2)]))


def test_a_layer_is_not_a_model(keras: ModuleType) -> None:
    with pytest.raises(NotAModel, match="Dense: is not a Keras model; a layer alone cannot be converted"):
        FRAMEWORK.signature(keras.layers.Dense(2))


def test_a_model_of_texts_is_told_what_to_do(keras: ModuleType) -> None:
    vectorize = keras.layers.TextVectorization(vocabulary=["a", "river"], output_sequence_length=4)
    model = keras.Sequential([keras.Input((), dtype="string"), vectorize, keras.layers.Embedding(4, 2)])
    with pytest.raises(Unsupported, match=r"TextVectorization; convert the layers behind it .* --adapter"):
        FRAMEWORK.signature(model)


def test_a_sequential_model_is_built_with_rows(keras: ModuleType, convert: Convert) -> None:
    _, conversion = convert(keras.Sequential([keras.layers.Dense(2)]), np.ones((5, 3), np.float32))

    assert [one.shape for one in conversion.inputs] == [(-1, 3)]


@pytest.fixture(scope="session")
def own(keras: ModuleType) -> type:
    class Own(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words = keras.layers.Embedding(9, 3)
            self.dense = keras.layers.Dense(2, activation="softmax")

        def call(self, ids: Any, more: Any) -> Any:
            return {"kind": self.dense(keras.ops.mean(self.words(ids), 1)), "double": more["u"] * 2}

    return Own


def test_a_subclassed_model_takes_and_gives_names(keras: ModuleType, convert: Convert, own: type) -> None:
    rows = {"ids": np.arange(8, dtype=np.int32).reshape(4, 2), "u": np.ones((4, 3), np.float32)}

    original, conversion = convert(own(), rows)

    assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [
        ("ids", "INT32", (-1, 2)),
        ("u", "FP32", (-1, 3)),
    ]
    assert [(one.name, one.role) for one in conversion.outputs] == [("double", None), ("kind", "scores")]
    assert original.inputs[0].domain.most == 8
    assert original.run(rows)["double"].tolist() == (rows["u"] * 2).tolist()


def test_a_subclassed_model_that_was_called_tells_its_inputs(keras: ModuleType, convert: Convert) -> None:
    class Two(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2, activation="softmax")

        def call(self, rows: Any) -> Any:
            return self.dense(rows["left"] - rows["right"])

    model = Two()
    model({"left": np.zeros((1, 3), np.float32), "right": np.zeros((1, 3), np.float32)})

    original, conversion = convert(model)

    assert [(one.name, one.shape) for one in conversion.inputs] == [("left", (-1, 3)), ("right", (-1, 3))]
    assert [(one.name, one.role) for one in conversion.outputs] == [("probabilities", "scores")]
    assert original.task == "classification"


def test_rows_are_asked_for_where_only_they_show_the_inputs(keras: ModuleType, own: type) -> None:
    with pytest.raises(Unfitted):
        FRAMEWORK.signature(own())

    model = own()
    model(np.zeros((1, 2), np.int32), {"u": np.zeros((1, 3), np.float32)})
    with pytest.raises(InvalidData) as caught:
        FRAMEWORK.signature(model)

    assert caught.value.problem == "it is subclassed and does not tell its inputs; add rows, from which they show"


def test_outputs_by_name_keep_their_names(keras: ModuleType, convert: Convert) -> None:
    rows = keras.Input((3,), name="rows")
    layers = keras.layers
    model = keras.Model(rows, {"z": layers.Dense(2, activation="softmax")(rows), "a": layers.Dense(1)(rows)})

    _, conversion = convert(model)

    assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [
        ("a", (-1, 1), None),
        ("z", (-1, 2), "scores"),
    ]


def test_an_output_that_is_an_input_has_another_name(keras: ModuleType, convert: Convert) -> None:
    rows = keras.Input((3,), name="rows")

    _, conversion = convert(keras.Model(rows, [rows, keras.layers.Dense(1, name="sum")(rows)]))

    assert [one.name for one in conversion.outputs] == ["rows_output", "sum"]


def test_a_task_keeps_the_column_of_a_sigmoid(keras: ModuleType) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1, activation="sigmoid")])

    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model), Hints(task="regression"))

    assert (original.task, original.classes, original.roles) == ("regression", None, {"value": "value"})
    assert original.run({original.inputs[0].tensor.name: np.ones((2, 3), np.float32)})["value"].shape == (2, 1)


@pytest.mark.parametrize(
    ("options", "shape", "axis"),
    [({"shape": (None, 2)}, (-1, -1, 2), 0), ({"batch_shape": (4, 3)}, (4, 3), None), ({"batch_shape": ()}, (), None)],
)
def test_the_first_dimension_is_the_rows_if_it_is_variable(
    keras: ModuleType, options: dict[str, Any], shape: tuple[int, ...], axis: int | None
) -> None:
    rows = keras.Input(**options, name="x")

    (found,) = FRAMEWORK.signature(keras.Model(rows, keras.layers.Identity()(rows)))

    assert (found.tensor.shape, found.axis) == (shape, axis)


def test_a_datatype_that_no_request_has_is_refused(keras: ModuleType) -> None:
    rows = keras.Input((3,), dtype="bfloat16", name="x")

    with pytest.raises(Unsupported) as caught:
        FRAMEWORK.signature(keras.Model(rows, keras.layers.Identity()(rows)))

    assert caught.value.problem.startswith("input 'x' has datatype bfloat16; cast it inside the model")


def test_a_model_of_keras_2_converts(keras: ModuleType, convert: Convert) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    with quiet():
        model = tf_keras.Sequential([layers.Input((3,), name="rows"), layers.Dense(2, activation="softmax")])

    _, conversion = convert(model)

    assert [one.name for one in conversion.inputs] == ["rows"]
    assert [(one.name, one.role) for one in conversion.outputs] == [("probabilities", "scores")]


def test_another_backend_is_refused(keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")

    with pytest.raises(Unsupported, match="set KERAS_BACKEND=tensorflow"):
        import_keras()


@pytest.mark.parametrize("module", ["keras", "tensorflow"])
def test_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra) as caught:
        import_keras()

    assert (caught.value.module, caught.value.extra) == (module, "tensorflow")


def test_rows_that_the_network_does_not_accept_are_refused_in_one_line(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    net = keras.Sequential([layers.Input((None, None, 1)), layers.Flatten(), layers.Reshape((4, 4))])

    with pytest.raises(InvalidData) as caught:
        convert(net)

    assert caught.value.problem.startswith("Sequential does not accept them: The total size of the tensor must be")
    assert str(caught.value).isprintable()

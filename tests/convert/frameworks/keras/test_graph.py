import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from snooze.bundle.errors import MissingExtra
from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.keras.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


def gelu(layers: Any) -> list[Any]:
    return [layers.Input((5,)), layers.Dense(8, activation="gelu"), layers.Dense(1)]


def bins(layers: Any) -> list[Any]:
    return [layers.Input((3,)), layers.Discretization([-1.0, 0.0, 1.0]), layers.Dense(1)]


@pytest.mark.parametrize("build", [gelu, bins])
def test_converts_operators_that_tf2onnx_does_not_know(keras: ModuleType, convert: Convert, build: Any) -> None:
    _, conversion = convert(keras.Sequential(build(keras.layers)))

    assert [(one.name, one.shape) for one in conversion.outputs] == [("value", (-1, 1))]
    assert conversion.parity.data.worst < 1e-5


def test_operators_without_a_counterpart_are_named(keras: ModuleType, convert: Convert) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,), dtype="int32"), layers.Hashing(5), layers.Dense(2)])

    with pytest.raises(Unsupported) as caught:
        convert(model)

    assert caught.value.problem == (
        "tf2onnx has no operator for StringToHashBucketFast; do that step before the rows are sent"
    )


def test_a_failing_converter_is_named(keras: ModuleType, convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("no such node")

    monkeypatch.setattr("tf2onnx.convert.from_keras", fail)

    with pytest.raises(Unsupported) as caught:
        convert(keras.Sequential(gelu(keras.layers)))

    assert caught.value.problem == "tf2onnx fails with KeyError: 'no such node'"


def test_names_the_missing_extra(keras: ModuleType, convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)

    with pytest.raises(MissingExtra) as caught:
        convert(keras.Sequential(gelu(keras.layers)))

    assert (caught.value.module, caught.value.extra) == ("tf2onnx", "tensorflow")

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.tensorflow.arguments import (
    arrange,
    from_sample,
    from_shapes,
    make_tensor,
    name_outputs,
    parameters,
)

pytestmark = pytest.mark.framework


def tensors(*names: str) -> list[Tensor]:
    return [Tensor(name, "FP32", (-1, 2)) for name in names]


@pytest.mark.parametrize(
    ("names", "given", "bound"),
    [
        (["x"], ["x"], {"x": 0}),
        (["y", "x"], ["x", "y"], {"y": 0, "x": 1}),
        (["x"], ["b", "a"], {"x": {"a": 0, "b": 1}}),
        (["x"], ["x_0", "x_1"], {"x": [0, 1]}),
        (["ids", "more"], ["ids", "u"], {"ids": 0, "more": {"u": 1}}),
    ],
)
def test_arguments_take_tensors_by_name(
    tf: ModuleType, names: list[str], given: list[str], bound: dict[str, Any]
) -> None:
    arguments = arrange(names, tensors(*given))

    assert arguments.bind(range(len(given))) == bound
    assert sorted(one.name for one in arguments.ordered) == sorted(given)


@pytest.mark.parametrize(
    ("names", "sample", "expected"),
    [
        (["x"], {"": np.ones((5, 3))}, [("x", "FP32", (-1, 3))]),
        (["x"], {"a": np.arange(5), "b": np.ones(5)}, [("x", "FP32", (-1, 2))]),
        (["x"], {"": np.array([["a"]], object)}, [("x", "BYTES", (-1, 1))]),
        (["x"], {"": np.zeros((2, 4, 4, 3), np.uint8)}, [("x", "UINT8", (-1, 4, 4, 3))]),
        (["x", "y"], {"y": np.arange(5), "x": np.ones((5, 2))}, [("x", "FP32", (-1, 2)), ("y", "INT64", (-1,))]),
    ],
)
def test_rows_show_shapes_and_datatypes(
    tf: ModuleType, names: list[str], sample: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    assert [(*one,)[:3] for one in from_sample(names, sample, "Own").ordered] == expected


def test_rows_for_other_arguments_are_refused() -> None:
    with pytest.raises(InvalidData) as caught:
        from_sample(["x", "y"], {"x": np.ones((5, 2))}, "Own")

    assert caught.value.problem == "Own takes x, y; got x"


def test_recorded_shapes_become_tensors(tf: ModuleType) -> None:
    arguments = from_shapes(["a", "b"], {"a_shape": (2, None), "b_shape": [(2, 3), (2, 4)]}, "float32")

    assert [(one.name, one.shape) for one in arguments.ordered] == [
        ("a", (-1, -1)),
        ("b_0", (-1, 3)),
        ("b_1", (-1, 4)),
    ]
    assert arguments.bind([0, 1, 2]) == {"a": 0, "b": [1, 2]}


def test_parameters_are_those_that_a_call_needs() -> None:
    def call(self: Any, rows: Any, *rest: Any, mask: Any, training: Any, scale: float = 1.0, **more: Any) -> None: ...

    assert parameters(call) == ["rows"]


@pytest.mark.parametrize(
    ("structure", "names"),
    [
        (0, ("output_0",)),
        ([0, 0], ("output_0", "output_1")),
        ({"b": 0, "a": [0, 0]}, ("a_0", "a_1", "b")),
        ((0, {"a": 0}), ("output_0", "1_a")),
    ],
)
def test_outputs_are_named_by_keys_or_positions(structure: Any, names: tuple[str, ...]) -> None:
    assert name_outputs(structure) == names


def test_stated_inputs_become_tensors(tf: ModuleType) -> None:
    assert make_tensor("M", "x", tf.string, (None, 1)) == Tensor("x", "BYTES", (-1, 1))
    assert make_tensor("M", "x", "float16", ()) == Tensor("x", "FP16", ())
    with pytest.raises(Unsupported, match="input 'x' has datatype complex64"):
        make_tensor("M", "x", "complex64", (1,))

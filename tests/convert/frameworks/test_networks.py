from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidOption
from snooze.convert.frameworks.interface import Hints
from snooze.convert.frameworks.networks import (
    Meaning,
    Output,
    find_meaning,
    has_probabilities,
    name_only_output,
    split_column,
    split_columns,
)

CLASSES = np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5]])
THREE = Meaning({"y": "scores"}, "classification", (0, 1, 2), "y")
TWO = Meaning({"y": "scores"}, "classification", (0, 1), "y", binary=True)
VALUE = Meaning({"y": "value"}, "regression")


@pytest.mark.parametrize(
    ("output", "hints", "meaning"),
    [
        (Output("y", (-1, 3), "softmax"), {}, THREE),
        (Output("y", (-1, 3), None, CLASSES), {}, THREE),
        (Output("y", (-1, 3), None, CLASSES - 0.1), {}, VALUE),
        (Output("y", (-1, 3)), {}, VALUE),
        (Output("y", (-1, 3)), {"names": ("a", "b", "c")}, THREE),
        (Output("y", (-1, 3)), {"labels": [0, 2]}, THREE),
        (Output("y", (-1, 3)), {"labels": [0.0, 2.0]}, THREE),
        (Output("y", (-1, 3)), {"labels": ["a", "b"]}, THREE),
        (Output("y", (-1, 3)), {"labels": [[0, 1, 0], [1, 0, 0]]}, THREE),
        (Output("y", (-1, 3)), {"labels": [0, 3]}, VALUE),
        (Output("y", (-1, 3)), {"labels": [0.5, 1]}, VALUE),
        (Output("y", (-1, 3)), {"labels": [[0, 1, 0], [1, 1, 0]]}, VALUE),
        (Output("y", (-1, 3)), {"task": "classification"}, THREE),
        (Output("y", (-1, 3), "softmax"), {"task": "regression"}, VALUE),
        (Output("y", (-1, 3)), {"task": "transform"}, Meaning({"y": "embedding"}, "transform")),
        (Output("y", (-1, 1), "sigmoid"), {}, TWO),
        (Output("y", (-1, 1), "sigmoid"), {"labels": [0, 1]}, TWO),
        (Output("y", (-1, 1), "sigmoid"), {"labels": [0.25, 1]}, VALUE),
        (Output("y", (-1, 1), "sigmoid"), {"labels": [0.25, 1], "task": "classification"}, TWO),
        (Output("y", (-1, 1), "sigmoid"), {"task": "regression"}, VALUE),
        (Output("y", (-1, 1)), {}, VALUE),
        (Output("y", (-1, 8, 8, 3), "softmax"), {}, Meaning({"y": None})),
    ],
)
def test_guesses_what_a_single_output_means(output: Output, hints: dict[str, Any], meaning: Meaning) -> None:
    labels = np.asarray(hints.pop("labels")) if "labels" in hints else None

    assert find_meaning([output], Hints(labels, **hints)) == meaning


def test_several_outputs_have_no_single_task() -> None:
    outputs = [Output("a", (-1, 3), "softmax"), Output("b", (-1, 1), "sigmoid")]

    assert find_meaning(outputs, Hints()) == Meaning({"a": "scores", "b": None})
    with pytest.raises(InvalidOption, match="--task: a model of 2 outputs has no single task"):
        find_meaning(outputs, Hints(task="classification"))


@pytest.mark.parametrize(
    ("output", "task"),
    [
        (Output("y", (-1, 1)), "classification"),
        (Output("y", (-1,)), "classification"),
        (Output("y", (-1, 8, 3)), "classification"),
        (Output("y", (-1, 8, 3)), "regression"),
        (Output("y", (-1, 3)), "clustering"),
        (Output("y", (-1, 3)), "outliers"),
    ],
)
def test_a_task_that_the_output_cannot_have_is_refused(output: Output, task: Any) -> None:
    with pytest.raises(InvalidOption, match="--task: output 'y' has shape"):
        find_meaning([output], Hints(task=task))


def test_tells_probabilities_from_logits() -> None:
    assert has_probabilities(Output("y", (-1, 3), None, CLASSES))
    assert has_probabilities(Output("y", (-1, 1), "sigmoid"))
    assert not has_probabilities(Output("y", (-1, 3), "relu", CLASSES - 1))


@pytest.mark.parametrize(
    ("output", "task", "name"),
    [
        (Output("y", (-1, 3), "softmax"), None, "probabilities"),
        (Output("y", (-1, 3), "log_softmax"), None, "scores"),
        (Output("y", (-1, 3)), "classification", "scores"),
        (Output("y", (-1, 3)), "transform", "embedding"),
        (Output("y", (-1, 3)), None, "value_output"),  # an input has the name value
        (Output("y", (-1, 8, 3)), None, "value_output"),
    ],
)
def test_names_an_only_output(output: Output, task: Any, name: str) -> None:
    assert list(name_only_output([output], Hints(task=task), {"value"}).roles) == [name]


def test_keeps_the_names_of_several_outputs() -> None:
    outputs = [Output("a", (-1, 3)), Output("b", (-1, 1))]

    assert list(name_only_output(outputs, Hints(), set()).roles) == ["a", "b"]


@pytest.mark.framework
def test_splits_the_column_of_two_classes() -> None:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in ("x", "p")]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["p"])], "g", values[:1], values[1:])

    made = split_columns(helper.make_model(graph), "p")

    (found,) = ReferenceEvaluator(made).run(["p"], {"x": np.array([[0.0], [50.0]], np.float32)})
    assert found.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert split_column(np.array([[0.5], [1.0]])).tolist() == found.tolist()

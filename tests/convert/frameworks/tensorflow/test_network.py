from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.convert.frameworks.interface import NO_HINTS, Hints, Original
from snooze.convert.frameworks.tensorflow.graph import Function
from snooze.convert.frameworks.tensorflow.network import Network, describe, find_inputs

pytestmark = pytest.mark.framework

ROWS = Tensor("rows", "FP32", (-1, 3))


def network(call: Any, *inputs: Tensor, hints: Hints = NO_HINTS) -> Original:
    function = Function("Own", inputs or (ROWS,), call, None)
    return describe(Network("tensorflow", "2", function), find_inputs(function), hints)


def test_an_only_output_is_called_what_it_is_unless_it_has_a_name(tf: ModuleType) -> None:
    assert dict(network(tf.nn.softmax).roles) == {"probabilities": "scores"}
    assert dict(network(tf.nn.relu).roles) == {"value": "value"}
    assert dict(network(tf.nn.relu, hints=Hints(task="transform")).roles) == {"embedding": "embedding"}
    assert dict(network(tf.nn.relu, hints=Hints(names=("a", "b", "c"))).roles) == {"scores": "scores"}
    assert dict(network(lambda rows: {"kind": tf.nn.softmax(rows)}).roles) == {"kind": "scores"}


def test_probabilities_show_in_the_answer_where_the_graph_does_not_name_them(tf: ModuleType) -> None:
    original = network(lambda rows: tf.exp(rows) / tf.reduce_sum(tf.exp(rows), 1, keepdims=True))

    assert (original.task, original.decides) == ("classification", "probabilities")


def test_the_only_column_of_a_sigmoid_becomes_two(tf: ModuleType) -> None:
    original = network(lambda rows: tf.sigmoid(rows[:, :1]))

    answer = original.run({"rows": np.zeros((2, 3))})

    assert (original.classes, answer["probabilities"].tolist()) == ((0, 1), [[0.5, 0.5]] * 2)
    (output,) = original.attempts[0].convert().graph.output
    assert output.name == "probabilities"


def test_outputs_that_end_in_a_sigmoid_are_probabilities(tf: ModuleType) -> None:
    original = network(lambda rows: {"mask": tf.sigmoid(rows), "kind": tf.nn.softmax(rows), "sum": rows + 1})

    assert original.probabilities == {"mask", "kind"}


def test_texts_and_scalars_pass(tf: ModuleType) -> None:
    words, scale = Tensor("words", "BYTES", (-1,)), Tensor("scale", "FP32", ())

    original = network(lambda words, scale: {"same": tf.identity(words), "double": scale * 2}, words, scale)
    answer = original.run({"words": np.array(["a", "é"], object), "scale": np.array(2.0)})

    assert (answer["same"].tolist(), answer["double"].tolist()) == (["a", "é"], 4)
    assert [one.axis for one in original.inputs] == [0, None]


def test_rows_that_are_not_accepted_raise_a_value_error(tf: ModuleType) -> None:
    original = network(lambda rows: tf.reshape(rows, (4, 4)), Tensor("rows", "FP32", (-1, -1)))

    with pytest.raises(ValueError, match="Input to reshape is a tensor with 6 values") as caught:
        original.run({"rows": np.ones((2, 3))})
    assert "\n" not in str(caught.value)

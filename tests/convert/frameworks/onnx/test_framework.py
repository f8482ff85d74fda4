from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from snooze.bundle.adapters.text import Declaration
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import Rows
from snooze.convert import attempts
from snooze.convert.attempts import Conversion
from snooze.convert.checks.cases import Arrays
from snooze.convert.checks.dataset import load
from snooze.convert.checks.graph import operators
from snooze.convert.checks.synthetic import draw_data
from snooze.convert.errors import GraphRefused, Unsupported
from snooze.convert.frameworks.interface import Hints, Original
from snooze.convert.frameworks.onnx.framework import FRAMEWORK
from snooze.convert.runner import Runner
from snooze.convert.source import read_model

pytestmark = pytest.mark.framework

FLOAT, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
Make = Callable[..., Any]
Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Save a model, read it again and convert it, on rows or on rows drawn for it."""

    def convert(model: Any, rows: Arrays | None = None, **hints: Any) -> tuple[Original, Conversion]:
        path = tmp_path / "source.onnx"
        path.write_bytes(model.SerializeToString())
        assert FRAMEWORK.recognizes_file(path)
        read = FRAMEWORK.load(path).model
        assert FRAMEWORK.recognizes(read)
        inputs = FRAMEWORK.signature(read, rows)
        data = draw_data(inputs, 12) if rows is None else load(Rows(rows), inputs, None, "rows")
        original = FRAMEWORK.describe(read, inputs, Hints(**hints))
        return original, attempts.convert(original, data, tmp_path)

    return convert


def shapes(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {one.name: (one.datatype, one.shape) for one in tensors}


@pytest.mark.parametrize("opset", range(7, 27))
@pytest.mark.parametrize("ir", [3, 14])
def test_converts_every_opset(convert: Convert, make: Make, opset: int, ir: int) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["y"])]
    inputs = {"x": (FLOAT, ["n", 3]), "w": (FLOAT, [3, 2])}  # as files of before 2019 list their weights
    weights = {"w": np.arange(6, dtype=np.float32).reshape(3, 2)}
    model = make(nodes, inputs, {"y": (FLOAT, ["n", 2])}, weights, opset, ir)

    original, conversion = convert(model)

    assert shapes(conversion.inputs) == {"x": ("FP32", (-1, 3))}
    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, 2))}
    assert (original.task, original.classes, original.roles) == ("classification", (0, 1), {"y": "scores"})
    assert conversion.parity.verdict == "agrees"
    assert conversion.parity.reference.startswith("the file itself, run by onnxruntime 1.")
    assert original.file_itself
    assert original.framework_version in conversion.parity.reference


def test_takes_models_in_memory(dense: Any) -> None:
    assert read_model(dense).framework is FRAMEWORK


def test_refuses_versions_that_are_not_served(convert: Convert, dense: Any) -> None:
    for change, problem in (
        ({"ir": 99}, "it is of IR version 99, and 14 is the newest that is known; export it with an older version"),
        ({"opset": 99}, "it is of opset 99 of ai.onnx, expected 7 to 26; export it again, or change it with"),
        ({"opset": 6}, "it is of opset 6 of ai.onnx, expected 7 to 26"),
    ):
        model = onnx.ModelProto()
        model.CopyFrom(dense)
        model.ir_version = change.get("ir", 8)
        model.opset_import[0].version = change.get("opset", 18)

        with pytest.raises(Unsupported) as caught:
            convert(model)

        assert problem in str(caught.value)


def silero(make: Make, names: bool) -> Any:
    """A model like silero-vad: samples, a state whose second dimension is the rows', and a rate without dimensions."""
    batch, length = ("batch", "samples") if names else (None, None)
    branches = {
        f"{branch}_branch": helper.make_graph(
            [
                helper.make_node("Constant", [], [f"{branch}_axes"], value_ints=[1]),
                helper.make_node(operator, ["input", f"{branch}_axes"], [branch], keepdims=1),
            ],
            branch,
            [],
            [helper.make_tensor_value_info(branch, FLOAT, None)],
        )
        for branch, operator in (("then", "ReduceMean"), ("else", "ReduceMax"))
    }
    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["fast"]),
        helper.make_node("If", ["fast"], ["mean"], **branches),
        helper.make_node("Add", ["state", "mean"], ["stateN"]),
        helper.make_node("ReduceSum", ["stateN", "first"], ["sum"], keepdims=0),
        helper.make_node("Sigmoid", ["sum"], ["output"]),
    ]
    inputs = {"input": (FLOAT, [batch, length]), "state": (FLOAT, [2, batch, 1]), "sr": (INT, [])}
    outputs = {"output": (FLOAT, [batch, 7]), "stateN": (FLOAT, None)}
    return make(nodes, inputs, outputs, {"rate": np.int64(16000), "first": np.array([0])})


@pytest.mark.parametrize("names", [True, False])
def test_rows_may_lie_along_another_axis(convert: Convert, make: Make, names: bool) -> None:
    model = silero(make, names)

    original, conversion = convert(model)

    assert [one.axis for one in original.inputs] == [0, 1, None]
    assert original.axes == {"output": 0, "stateN": 1}
    assert original.inputs[2].domain.choices == (16000,)
    assert shapes(conversion.inputs) == {
        "input": ("FP32", (-1, -1)),
        "state": ("FP32", (2, -1, 1)),
        "sr": ("INT64", ()),
    }
    assert shapes(conversion.outputs) == {"output": ("FP32", (-1, 1)), "stateN": ("FP32", (2, -1, 1))}
    rows = {"input": np.ones((5, 40), "f"), "state": np.zeros((2, 5, 1), "f"), "sr": np.int64(8000)}
    assert convert(model, {name: np.asarray(one) for name, one in rows.items()})[1].parity.data.rows == 5


def test_a_fixed_batch_has_no_rows(convert: Convert, make: Make) -> None:
    model = make([helper.make_node("Softmax", ["x"], ["y"])], {"x": (FLOAT, [1, 4])}, {"y": (FLOAT, [1, 4])})

    original, conversion = convert(model)

    assert original.axes == {"y": None}
    assert shapes(conversion.outputs) == {"y": ("FP32", (1, 4))}
    assert conversion.parity.data.rows > 2


def test_a_batch_that_must_be_one_is_declared_so(convert: Convert, make: Make) -> None:
    """As in speechmos: the answer to one row is a scalar, the answer to several is a vector."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceSum", ["rater", "one"], ["bias"], keepdims=0),
        helper.make_node("Add", ["mean", "bias"], ["sum"]),
        helper.make_node("Squeeze", ["sum"], ["mos"]),
    ]
    inputs = {"x": (FLOAT, ["batch", "frames", 5]), "rater": (FLOAT, ["batch", 4])}
    model = make(nodes, inputs, {"mos": (FLOAT, [])}, {"one": np.array([1])}, opset=13)

    original, conversion = convert(model)

    assert shapes(conversion.inputs) == {"x": ("FP32", (1, -1, 5)), "rater": ("FP32", (1, 4))}
    assert shapes(conversion.outputs) == {"mos": ("FP32", ())}
    assert {*original.axes.values()} == {None}  # type: ignore[union-attr]


def test_lengths_that_the_model_accepts_are_found(convert: Convert, make: Make) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], strides=[20])]
    inputs, weights = {"x": (FLOAT, ["batch", 1, "samples"])}, {"w": np.ones((2, 1, 400), "f")}

    original, conversion = convert(make(nodes, inputs, {"y": (FLOAT, ["batch", 2, 1])}, weights))

    assert original.inputs[0].domain.lengths == (512, 1024, 2048)
    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, 2, -1))}


def test_independent_lengths_need_not_be_equal(convert: Convert, make: Make) -> None:
    nodes = [helper.make_node("MatMul", ["x", "y"], ["z"])]
    inputs = {"x": (FLOAT, ["n", 3]), "y": (FLOAT, [3, "m"])}
    rows = {"x": np.eye(5, 3, dtype="f"), "y": np.eye(3, 7, dtype="f")}

    original, conversion = convert(make(nodes, inputs, {"z": (FLOAT, ["n", "m"])}), rows)

    assert [one.axis for one in original.inputs] == [0, None]
    assert shapes(conversion.outputs) == {"z": ("FP32", (-1, -1))}


def test_made_up_rows_that_no_size_suits_need_data(convert: Convert, make: Make) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    inputs = {"x": (FLOAT, ["n", "m"])}
    model = make(nodes, inputs, {"y": (FLOAT, ["n", 17, 19])}, {"shape": np.array([0, 17, 19])})

    with pytest.raises(
        InvalidData, match=r"made-up rows: the ONNX model accepts none of the sizes tried: .*; add --data"
    ):
        convert(model)

    _, conversion = convert(model, {"x": np.zeros((2, 323), "f")})
    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, 17, 19))}
    with pytest.raises(InvalidData, match="the input rows: the ONNX model does not accept them: "):
        convert(model, {"x": np.zeros((2, 300), "f")})


def test_wrongly_declared_outputs_are_observed(convert: Convert, make: Make) -> None:
    model = make([helper.make_node("Neg", ["x"], ["y"])], {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, [7, "any"])})

    _, conversion = convert(model)

    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, 3))}


def test_integers_come_from_the_whole_vocabulary(convert: Convert, make: Make) -> None:
    nodes = [
        helper.make_node("Cast", ["ids"], ["index"], to=INT),
        helper.make_node("Gather", ["table", "index"], ["y"]),
    ]
    table = np.random.default_rng(0).standard_normal((1000, 4)).astype("f")
    model = make(nodes, {"ids": (TensorProto.INT32, ["n", "length"])}, {"y": (FLOAT, None)}, {"table": table})

    original, conversion = convert(model)

    assert original.inputs[0].domain.most == 999
    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, -1, 4))}


def test_runs_loops(convert: Convert, make: Make) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["again"]),
            helper.make_node("Add", ["state", "state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, None),
        ],
    )
    model = make(
        [helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)],
        {"x": (FLOAT, ["n", 3])},
        {"y": (FLOAT, ["n", 3])},
        {"count": np.int64(3)},
    )

    original, conversion = convert(model)

    assert operators(conversion.graph) == {"Loop", "Identity", "Add"}
    assert original.run({"x": np.ones((2, 3), "f")})["y"].tolist() == [[8] * 3] * 2


def test_outputs_of_any_number_are_not_joined(convert: Convert, make: Make) -> None:
    """As of a detector, which finds more or fewer objects in each image."""
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Transpose", ["places"], ["found"]),
        helper.make_node("ReduceMax", ["x"], ["best"], axes=[1]),
    ]
    model = make(nodes, {"x": (FLOAT, ["n", 3])}, {"found": (INT, ["k", 2]), "best": (FLOAT, ["n", 1])}, opset=13)

    original, conversion = convert(model)

    assert original.axes == {"found": None, "best": 0}
    assert shapes(conversion.outputs) == {"found": ("INT64", (-1, 2)), "best": ("FP32", (-1, 1))}
    runner = Runner(conversion.file, axes=original.axes)
    assert attempts.find_batching(conversion, runner, conversion.expected.tolerance, original) is None


@pytest.mark.parametrize("inside", [True, False])
def test_locales_are_replaced(convert: Convert, make: Make, inside: bool) -> None:
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale="tlh_XX")
    output = helper.make_tensor_value_info("y", TEXT, None)
    nodes = [node]
    if inside:
        branch = helper.make_graph([node], "branch", [], [output])
        other = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "other", [], [
            helper.make_tensor_value_info("z", TEXT, None)])  # fmt: skip
        nodes = [
            helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("v", TensorProto.BOOL, [], [1])),
            helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=other),
        ]

    original, _ = convert(make(nodes, {"x": (TEXT, ["n"])}, {"out" if inside else "y": (TEXT, ["n"])}))

    (answer,) = original.run({"x": np.array(["ÄB", "c"], object)}).values()
    assert answer.tolist() == ["äb", "c"]


def test_half_precision(convert: Convert, make: Make) -> None:
    generator, half = np.random.default_rng(0), TensorProto.FLOAT16
    weights = {name: generator.standard_normal((64, 64)).astype(np.float16) / 8 for name in ("a", "b")}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("MatMul", ["t", "b"], ["y"]),
    ]

    original, conversion = convert(make(nodes, {"x": (half, ["n", 64])}, {"y": (half, ["n", 64])}, weights))

    assert original.half
    assert shapes(conversion.outputs) == {"y": ("FP16", (-1, 64))}


def test_a_sigmoid_stands_for_two_classes_if_asked_for(convert: Convert, make: Make) -> None:
    nodes = [helper.make_node("Sigmoid", ["x"], ["y"])]
    model = make(nodes, {"x": (FLOAT, ["n", 1])}, {"y": (FLOAT, ["n", 1])})

    original, conversion = convert(model)
    assert (original.task, shapes(conversion.outputs)["y"]) == ("regression", ("FP32", (-1, 1)))

    original, conversion = convert(model, task="classification")
    assert (original.task, original.classes) == ("classification", (0, 1))
    assert shapes(conversion.outputs) == {"y": ("FP32", (-1, 2))}


def test_refuses_what_is_not_served(convert: Convert, make: Make) -> None:
    x, y = {"x": (FLOAT, ["n", 2])}, {"y": (FLOAT, ["n", 2])}
    sequence = make([helper.make_node("SplitToSequence", ["x"], ["y"])], x, y)
    sequence.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", FLOAT, None))
    brain = make([helper.make_node("Cast", ["x"], ["y"], to=16)], x, {"y": (TensorProto.BFLOAT16, ["n", 2])})
    custom = make([helper.make_node("Magic", ["x"], ["y"], domain="my.ops")], x, y)
    custom.opset_import.append(helper.make_opsetid("my.ops", 1))
    loop = make([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Neg", ["a"], ["b"])], x,
                {"a": (FLOAT, ["n", 2])})  # fmt: skip
    unknown = make([helper.make_node("Magic", ["x"], ["y"])], x, y)
    found = []
    for model in (sequence, brain, custom, loop, unknown):
        with pytest.raises((Unsupported, GraphRefused)) as caught:
            convert(model)
        found.append(str(caught.value))

    for text, problem in zip(
        found,
        (
            "output 'y' is a sequence; export it with tensors only",
            "output 'y' has datatype bfloat16, which no request can carry",
            "operators of other domains are not served: my.ops.Magic",
            "ONNX Runtime cannot load the file: ",
            "ONNX Runtime cannot load the file: ",
        ),
        strict=True,
    ):
        assert problem in text
        assert len(text.splitlines()) == 1


def test_quantized_models_are_compared_as_they_run(convert: Convert, make: Make) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["v"]),
        helper.make_node("MatMul", ["d", "v"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    weights = np.random.default_rng(0).integers(-90, 90, (16, 16)).astype(np.int8)
    constants = {"s": np.float32(0.05), "z": np.uint8(128), "zw": np.int8(0), "w": weights}

    _, conversion = convert(make(nodes, {"x": (FLOAT, ["n", 16])}, {"y": (FLOAT, ["n", 16])}, constants))

    assert conversion.parity.reference == f"the file itself, run by onnxruntime {onnxruntime.__version__}"
    assert conversion.parity.data.worst == 0


def test_names_that_no_request_can_carry_are_replaced(convert: Convert, make: Make) -> None:
    model = make([helper.make_node("Neg", ["a\nb"], ["c\td"])], {"a\nb": (FLOAT, ["n"])}, {"c\td": (FLOAT, ["n"])})

    _, conversion = convert(model)

    assert (conversion.inputs[0].name, conversion.outputs[0].name) == ("input_0", "output_0")


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("STRING", [None], Declaration("text", "x")),
        ("STRING", [None, 1], Declaration("text", "x")),
        ("STRING", [None, 2], None),
        ("FLOAT", [None], None),
    ],
)
def test_a_single_input_of_strings_takes_texts(kind: str, shape: list[int | None], expected: Any) -> None:
    element = getattr(TensorProto, kind)
    values = [helper.make_tensor_value_info(name, element, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    assert FRAMEWORK.adapter(model, FRAMEWORK.signature(model), None) == expected

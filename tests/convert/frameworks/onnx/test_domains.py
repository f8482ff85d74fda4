from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from snooze.bundle.contract import Datatype, Tensor
from snooze.convert.frameworks.interface import Domain
from snooze.convert.frameworks.onnx.domains import find_domain

pytestmark = pytest.mark.framework

FLOAT, INT, TEXT, BYTE = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING, TensorProto.UINT8
ML = "ai.onnx.ml"
TABLE = np.zeros((50, 4), np.float32)


def inside(node: Any) -> Any:
    branch = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("y", FLOAT, None)])
    return helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch)


@pytest.mark.parametrize(
    ("nodes", "datatype", "expected"),
    [
        ([helper.make_node("Gather", ["table", "x"], ["y"])], "INT64", Domain(most=49)),
        ([helper.make_node("Gather", ["table", "x"], ["y"], axis=1)], "INT64", Domain(most=3)),
        ([inside(helper.make_node("Gather", ["table", "x"], ["y"]))], "INT64", Domain(most=49)),
        (
            [
                helper.make_node("Constant", [], ["words"], value=numpy_helper.from_array(TABLE)),
                helper.make_node("Cast", ["x"], ["i"], to=INT),
                helper.make_node("Gather", ["words", "i"], ["y"]),
            ],
            "INT32",
            Domain(most=49),
        ),
        ([helper.make_node("OneHot", ["x", "depth", "both"], ["y"])], "INT64", Domain(most=6)),
        ([helper.make_node("Neg", ["x"], ["y"])], "INT64", Domain()),
        ([helper.make_node("Cast", ["x"], ["y"], to=FLOAT)], "UINT8", Domain(most=255)),
        ([helper.make_node("Gather", ["x", "depth"], ["y"])], "INT64", Domain()),
        ([helper.make_node("Equal", ["x", "rate"], ["y"])], "INT64", Domain(choices=(8000, 16000))),
        ([helper.make_node("Equal", ["x", "rate"], ["y"])], "FP32", Domain()),
        (
            [
                helper.make_node("Concat", ["other", "x"], ["both_texts"], axis=1),
                helper.make_node("OneHotEncoder", ["both_texts"], ["y"], domain=ML, cats_strings=["a", "b"]),
            ],
            "BYTES",
            Domain(choices=("a", "b")),
        ),
        (
            [helper.make_node("LabelEncoder", ["x"], ["y"], domain=ML, keys_int64s=[3, 5], values_floats=[1.0, 2.0])],
            "INT64",
            Domain(choices=(3, 5)),
        ),
        ([helper.make_node("StringNormalizer", ["x"], ["y"])], "BYTES", Domain()),
    ],
)
def test_operators_show_what_an_input_may_be(
    make: Callable[..., Any], nodes: list[Any], datatype: Datatype, expected: Domain
) -> None:
    kinds = {"INT64": INT, "INT32": TensorProto.INT32, "UINT8": BYTE, "FP32": FLOAT, "BYTES": TEXT}
    constants = {"table": TABLE, "depth": np.int64(7), "rate": np.array([8000, 16000])}

    model = make(nodes, {"x": (kinds[datatype], ["n", 2])}, {"y": (FLOAT, None)}, constants)

    assert find_domain(model, Tensor("x", datatype, (-1, 2))) == expected

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.building import build, has_raw_scores, keep_needed
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]
Convert = Callable[..., tuple[Original, Conversion]]


@pytest.mark.parametrize("model", [LogisticRegression(), GradientBoostingClassifier(n_estimators=2), SVC()])
@pytest.mark.parametrize("classes", [2, 3])
def test_decision_function_instead_of_probabilities(wine: Data, model: Any, classes: int) -> None:
    from onnxruntime import InferenceSession
    from skl2onnx.common.data_types import FloatTensorType

    FRAMEWORK.register_converters()
    rows = np.asarray(wine[0], np.float32)
    fitted = make_pipeline(StandardScaler(), model).fit(rows, np.minimum(wine[1], classes - 1))

    graph = build(fitted, [("rows", FloatTensorType([None, 13]))], ("label", "scores"))

    assert has_raw_scores(model)
    label, scores = InferenceSession(graph.SerializeToString()).run(["label", "scores"], {"rows": rows})
    expected = fitted.decision_function(rows)
    assert np.array_equal(label, fitted.predict(rows))
    assert scores == pytest.approx(np.stack([-expected, expected], 1) if classes == 2 else expected, abs=1e-4)


def test_nodes_that_no_output_needs_are_left_out(converter: Callable[[Framework], Convert], wine: Data) -> None:
    """Votes need labels only, and converters give probabilities too."""
    model = VotingClassifier([("a", make_pipeline(StandardScaler(), SVC())), ("b", LogisticRegression())]).fit(*wine)

    _, conversion = converter(FRAMEWORK)(model, wine[0])

    read = {name for node in conversion.graph.graph.node for name in node.input} | {"label"}
    assert all(read.intersection(node.output) for node in conversion.graph.graph.node)
    assert {one.name for one in conversion.graph.graph.initializer} <= read


def test_what_a_subgraph_reads_is_needed() -> None:
    from onnx import TensorProto, helper

    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    branches = [
        helper.make_graph([helper.make_node(name, ["outer"], [name])], name, [], [helper.make_value_info(name, kind)])
        for name in ("Neg", "Abs")
    ]
    nodes = [
        helper.make_node("Exp", ["x"], ["outer"]),
        helper.make_node("Exp", ["x"], ["unused"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    inputs = [helper.make_value_info("x", kind), helper.make_tensor_value_info("yes", TensorProto.BOOL, [])]
    graph = helper.make_model(helper.make_graph(nodes, "graph", inputs, [helper.make_value_info("y", kind)]))

    keep_needed(graph)

    assert [node.output[0] for node in graph.graph.node] == ["outer", "y"]

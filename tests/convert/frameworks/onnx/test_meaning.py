import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from snooze.bundle.errors import InvalidOption
from snooze.convert.frameworks.interface import Hints
from snooze.convert.frameworks.networks import Meaning
from snooze.convert.frameworks.onnx.framework import FRAMEWORK
from snooze.convert.frameworks.onnx.graph import find_zipmaps, prepare
from snooze.convert.frameworks.onnx.inputs import find_axes, find_inputs
from snooze.convert.frameworks.onnx.meaning import find_meaning
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Any]:
    """Graphs of scikit-learn's classifiers, as its converter writes them without options."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    rows, numbers = load_iris(return_X_y=True)
    rows, names = rows.astype(np.float32), np.array(["setosa", "versicolor", "virginica"])[numbers]
    estimators = {
        "names": LogisticRegression(max_iter=200).fit(rows, names),
        "numbers": RandomForestClassifier(3, random_state=0).fit(rows, numbers * 10),
        "network": MLPClassifier((4,), max_iter=5, random_state=0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimators["network"].fit(rows, names)
        return {
            name: to_onnx(one, rows[:1], options={"zipmap": False} if name == "network" else None, target_opset=18)
            for name, one in estimators.items()
        }


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("names", ("setosa", "versicolor", "virginica")),
        ("numbers", (0, 10, 20)),
        ("network", ("setosa", "versicolor", "virginica")),
    ],
)
def test_a_classifier_keeps_its_classes(classifiers: dict[str, Any], name: str, classes: tuple[object, ...]) -> None:
    model = classifiers[name]
    original = FRAMEWORK.describe(model, FRAMEWORK.signature(model))
    label, scores = original.roles

    assert (original.task, original.classes, original.decides) == ("classification", classes, scores)
    assert [*original.roles.values()] == ["label", "scores"]
    answer = original.run({"X": np.ones((5, 4), np.float32)})
    assert answer[scores].shape == (5, 3)
    assert answer[label].tolist() == [classes[at] for at in answer[scores].argmax(1)]
    with pytest.raises(InvalidOption, match="the model is a classifier, got 'regression'"):
        FRAMEWORK.describe(model, FRAMEWORK.signature(model), Hints(task="regression"))


def meaning(model: Any, **hints: Any) -> Meaning:
    prepared = prepare(model)
    runner = Runner(prepared.SerializeToString())
    axes, answers = find_axes(runner, find_inputs(prepared, runner, None))
    return find_meaning(prepared, answers, axes, find_zipmaps(prepared), Hints(**hints))


def test_a_label_made_by_argmax_numbers_the_columns(make: Make) -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["p"]),
        helper.make_node("ArgMax", ["x"], ["top"], axis=1, keepdims=0),
    ]
    model = make(nodes, {"x": (FLOAT, ["n", 3])}, {"top": (INT, ["n"]), "p": (FLOAT, ["n", 3])})

    assert meaning(model) == Meaning({"top": "label", "p": "scores"}, "classification", (0, 1, 2), "p")


def test_other_integers_are_no_labels(make: Make) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["i"], to=INT), helper.make_node("Neg", ["x"], ["y"])]
    model = make(nodes, {"x": (FLOAT, ["n", 3])}, {"i": (INT, ["n", 3]), "y": (FLOAT, ["n", 3])})
    alone = make(nodes[:1], {"x": (FLOAT, ["n", 3])}, {"i": (INT, ["n", 3])})

    assert meaning(model) == Meaning({"i": None, "y": None})
    assert meaning(alone) == Meaning({"i": None})


@pytest.mark.parametrize(
    ("operator", "columns", "hints", "expected"),
    [
        ("Softmax", 3, {}, Meaning({"y": "scores"}, "classification", (0, 1, 2), "y")),
        ("Sigmoid", 1, {}, Meaning({"y": "value"}, "regression")),
        ("Sigmoid", 1, {"task": "classification"}, Meaning({"y": "scores"}, "classification", (0, 1), "y", True)),
        ("Neg", 3, {"task": "transform"}, Meaning({"y": "embedding"}, "transform")),
    ],
)
def test_a_single_output(make: Make, operator: str, columns: int, hints: Any, expected: Meaning) -> None:
    nodes = [helper.make_node(operator, ["x"], ["h"]), helper.make_node("Identity", ["h"], ["y"])]

    assert meaning(make(nodes, {"x": (FLOAT, ["n", columns])}, {"y": (FLOAT, None)}), **hints) == expected


def test_a_softmax_along_the_rows_classifies_nothing(make: Make) -> None:
    model = make(
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)], {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, ["n", 3])}
    )

    assert meaning(model).task != "classification"

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import Client, Graph, classifier, publish

from snooze.bundle.adapters.table import Column, Declaration, load
from snooze.bundle.contract import Tensor
from snooze.service import Settings, create_app
from snooze.service.errors import NotInJson
from snooze.service.protocols import plain
from snooze.service.protocols.tensors import Signature

ROW = [0.5] * 30


@pytest.mark.parametrize("body", [[ROW, ROW], {"rows": [ROW, ROW]}])
def test_rows_become_labels_and_confidences(client: Client, body: Any) -> None:
    answer = client.post("/models/tumour/predict", body)

    document = answer.json()
    assert (answer.status, document["model"], document["version"], len(document["predictions"])) == (
        200,
        "tumour",
        2,
        2,
    )
    prediction = document["predictions"][0]
    assert prediction["label"] in ("malignant", "benign")
    assert prediction["confidence"] == prediction["probabilities"][prediction["label"]]
    assert set(prediction["probabilities"]) == {"malignant", "benign"}


def test_a_number_is_a_value(client: Client) -> None:
    answer = client.post("/models/sum/predict", [[1, 2, 3]])

    assert answer.json()["predictions"] == [{"value": 6.0}]


def test_rows_of_several_inputs_are_objects(client: Client) -> None:
    answer = client.post("/models/person/predict", [{"age": 1, "weight": 2, "note": "x"}])

    assert answer.json()["predictions"] == [{"value": 3, "said": "x"}]


@pytest.mark.parametrize("rows", [[{"x": [1, 2, 3]}, {"x": [4, 5, 6]}], [[1, 2, 3], [4, 5, 6]]])
def test_rows_of_one_input_may_be_objects(client: Client, rows: Any) -> None:
    assert client.post("/models/sum/predict", rows).json()["predictions"] == [{"value": 6}, {"value": 15}]


@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("sum", [{"y": [1, 2, 3]}], "row 0: expected an object with: x"),
        ("sum", [{"x": [1, 2, 3]}, [1, 2, 3]], "row 1: expected an object with: x"),
        ("sum", {"texts": [[1, 2, 3]]}, 'expected {"rows": [...]} or a list of rows'),
        ("sum", {}, 'expected {"rows": [...]} or a list of rows'),
        (
            "sum",
            5,
            'expected {"rows": [...]} or a list of rows; '
            "for another form than JSON set Content-Type to text/csv or multipart/form-data",
        ),
        ("sum", [], "expected at least one row, got an empty list"),
        ("sum", [1, 2, 3], "input 'x': expected each row to be a list; for one row: [[...]], got 1"),
        ("sum", [[1, 2]], "input 'x': expected shape [any, 3], got [1, 2]"),
        ("sum", [[1, 2, 3], [1, 2]], "input 'x': the lists in the data have different lengths or depths"),
        ("sum", [[1, 2, "3"]], "input 'x': expected numbers for FP32, got '3'"),
        ("sum", [[1, 2, None]], "input 'x': expected numbers for FP32, got null"),
        ("sum", [[1, 2, True]], "input 'x': expected numbers for FP32, got true"),
        ("person", [[1]], "row 0: expected an object with: age, weight, note"),
        ("person", [{"age": 1}], "row 0: expected an object with: age, weight, note"),
    ],
)
def test_says_what_is_wrong_with_the_rows(client: Client, model: str, body: Any, error: str) -> None:
    answer = client.post(f"/models/{model}/predict", body)

    assert (answer.status, answer.error) == (400, error)


def test_an_answer_that_json_cannot_say_is_refused(client: Client) -> None:
    answer = client.post("/models/sum/predict", [[3e38, 3e38, 3e38]])

    assert answer.status == 406


def test_predict_alone_says_which_models_there_are(client: Client) -> None:
    answer = client.post("/predict", [ROW])

    assert answer.status == 404
    assert answer.error.startswith("no single model behind /predict: use /models/NAME/predict; available: ")


def scores_only(golden_row: list[float]) -> Graph:
    """A classifier that gives its scores alone: they are its input."""
    from onnx import helper

    from snooze.bundle.contract import Tensor

    nodes = [helper.make_node("Identity", ["x"], ["scores"])]
    golden = {"x": np.array([golden_row], np.float32)}
    shape = (-1, len(golden_row))
    return Graph(nodes, [Tensor("x", "FP32", shape)], [Tensor("scores", "FP32", shape, "scores")], golden)


@pytest.mark.parametrize(
    ("row", "labels", "prediction"),
    [
        ([0.25, 0.75], ("no", "yes"), {"label": "yes", "confidence": 0.75, "probabilities": {"no": 0.25, "yes": 0.75}}),
        ([-3.0, 5.0], ("no", "yes"), {"label": "yes", "scores": {"no": -3.0, "yes": 5.0}}),
        ([0.75], ("no", "yes"), {"label": "yes", "confidence": 0.75, "probabilities": {"no": 0.25, "yes": 0.75}}),
        ([0.25], ("no", "yes"), {"label": "no", "confidence": 0.75, "probabilities": {"no": 0.75, "yes": 0.25}}),
        ([0.5, 0.5], None, {"label": 0, "confidence": 0.5, "probabilities": {"0": 0.5, "1": 0.5}}),
    ],
)
def test_a_model_without_labels_decides_by_its_scores(
    tmp_path: Path, row: list[float], labels: tuple[str, ...] | None, prediction: Any
) -> None:
    publish(tmp_path, "scorer", scores_only(row), labels=labels)
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    assert client.post("/predict", [row]).json()["predictions"] == [prediction]


@pytest.mark.parametrize(
    ("golden", "keys"),
    [([0.25, 0.747], {"label", "confidence", "probabilities"}), ([0.25, 0.76, 0.6], {"label", "scores"})],
)
def test_whether_scores_are_probabilities_is_the_models_and_not_the_rows(
    tmp_path: Path, golden: list[float], keys: set[str]
) -> None:
    """The golden rows decide: an 8-bit softmax adds up to 1 on some rows and to 0.996 on others."""
    publish(tmp_path, "scorer", scores_only(golden), labels=None)
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    zeros = [0.0] * (len(golden) - 1)

    answer = client.post("/predict", [[1.0, *zeros], [0.99, *zeros], [0.5, *zeros]]).json()

    assert [set(prediction) for prediction in answer["predictions"]] == [keys] * 3


def test_a_label_that_is_a_name_already_is_left_alone(tmp_path: Path) -> None:
    publish(tmp_path, "digits", classifier(), labels=("1", "0"))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    answer = client.post("/predict", [ROW]).json()["predictions"][0]
    number = client.post(
        "/v2/models/digits/infer",
        {"inputs": [{"name": "features", "shape": [1, 30], "datatype": "FP32", "data": ROW}]},
    ).json()["outputs"][0]["data"][0]

    assert answer["label"] == str(number)


def table() -> Graph:
    """Two columns of a table, and what stands in them as two labels a row."""
    from onnx import helper

    from snooze.bundle.contract import Tensor

    inputs = [Tensor("age", "INT64", (-1, 1)), Tensor("size", "INT64", (-1, 1))]
    nodes = [helper.make_node("Concat", ["age", "size"], ["label"], axis=1)]
    golden = {"age": np.array([[1], [2]]), "size": np.array([[3], [4]])}
    return Graph(nodes, inputs, [Tensor("label", "INT64", (-1, 2), "label")], golden)


def test_a_column_of_a_table_takes_the_value_alone(tmp_path: Path) -> None:
    publish(tmp_path, "table", table())
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    alone = client.post("/predict", [{"age": 1, "size": 3}, {"age": 2, "size": 4}])
    listed = client.post("/predict", [{"age": [1], "size": [3]}, {"age": [2], "size": [4]}])
    mixed = client.post("/predict", [{"age": 1, "size": 3}, {"age": [2], "size": 4}])

    assert alone.json()["predictions"] == listed.json()["predictions"] == [{"label": [1, 3]}, {"label": [2, 4]}]
    assert (mixed.status, mixed.error) == (400, "input 'age': expected integers for INT64, got [2]")


def test_what_json_cannot_carry_goes_by_the_other_protocol(client: Client) -> None:
    asked = client.ask("POST", "/models/sum/predict", b"[[1, NaN, 2]]")
    answered = client.post("/models/sum/predict", [[3e38, 3e38, 3e38]])

    assert (asked.status, asked.error) == (
        400,
        "JSON has no NaN or Infinity (character 5); send the tensor to /v2/models/sum/infer as binary_data",
    )
    assert (answered.status, answered.error) == (
        406,
        str(NotInJson("value", "/v2/models/sum/infer")),
    )


LETTERS = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("row", "top", "found"),
    [
        ([0.1, 0.5, 0.15, 0.25], 1, {"b": 0.5}),
        ([0.1, 0.5, 0.15, 0.25], 3, {"b": 0.5, "d": 0.25, "c": 0.15}),
        ([0.1, 0.5, 0.15, 0.25], 9, {"b": 0.5, "d": 0.25, "c": 0.15, "a": 0.1}),
        ([0.25, 0.25, 0.25, 0.25], 2, {"a": 0.25, "b": 0.25}),
        ([-1.0, 3.0, 2.0, 1.0], 2, {"b": 3.0, "c": 2.0}),
    ],
)
def test_only_the_most_likely_classes_on_request(
    tmp_path: Path, row: list[float], top: int, found: dict[str, float]
) -> None:
    publish(tmp_path, "scorer", scores_only(row), labels=LETTERS)
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    (prediction,) = client.post(f"/predict?top={top}", [row]).json()["predictions"]

    listed = prediction.get("probabilities") or prediction["scores"]
    assert list(listed.items()) == [(key, pytest.approx(value)) for key, value in found.items()]
    assert prediction["label"] == next(iter(found))


@pytest.mark.parametrize("top", ["0", "-1", "1.5", "x", "", "+1", "9999999999", "%31", "\u00b2"])
def test_top_is_a_positive_integer(client: Client, top: str) -> None:
    answer = client.post(f"/models/tumour/predict?top={top}", [ROW])

    assert answer.status == 400
    assert answer.error.startswith("query parameter 'top': expected a positive integer, got '")


@pytest.mark.parametrize("query", ["?top=3", "?", "?other=1&top=1&", "?TOP=x"])
def test_a_model_without_scores_has_no_top(client: Client, query: str) -> None:
    assert client.post(f"/models/sum/predict{query}", [[1, 2, 3]]).json()["predictions"] == [{"value": 6}]


def test_scores_that_are_no_numbers_have_no_order(tmp_path: Path) -> None:
    publish(tmp_path, "scorer", identity_as("scores", (-1, 2)), labels=("no", "yes"))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    nan = np.array([[np.nan, 1]], np.float32).tobytes()
    assert client.ask("POST", "/v2/models/scorer/infer", nan, inference_header_content_length="0").status == 200

    answer = client.post("/predict?top=1", [[3e38, 3e38]])

    assert answer.status == 406


def identity_as(role: Any, shape: tuple[int, ...], scale: float = 10.0) -> Graph:
    """Ten times the input, as an output of this role; it may be infinite."""
    from onnx import helper

    from snooze.bundle.contract import Tensor

    nodes = [helper.make_node("Mul", ["x", "scale"], ["out"])]
    golden = {"x": np.arange(np.prod([2, *shape[1:]]), dtype=np.float32).reshape(2, *shape[1:])}
    inputs, outputs = [Tensor("x", "FP32", shape)], [Tensor("out", "FP32", shape, role)]
    return Graph(nodes, inputs, outputs, golden, {"scale": np.array(scale, np.float32)})


@pytest.mark.parametrize(
    ("shape", "labels", "row", "prediction"),
    [
        ((-1, 2), ("height", "width"), [1, 2], {"value": [10, 20], "values": {"height": 10, "width": 20}}),
        ((-1, 1), ("price",), [1], {"value": 10, "values": {"price": 10}}),
        ((-1,), ("price",), 1, {"value": 10, "values": {"price": 10}}),
        ((-1, 2), None, [1, 2], {"value": [10, 20]}),
    ],
)
def test_the_values_of_a_regressor_may_have_names(
    tmp_path: Path, shape: tuple[int, ...], labels: Any, row: Any, prediction: Any
) -> None:
    publish(tmp_path, "regressor", identity_as("value", shape), labels=labels)
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    assert client.post("/predict", [row]).json()["predictions"] == [prediction]


def test_an_embedding_is_a_list(tmp_path: Path) -> None:
    publish(tmp_path, "embedder", identity_as("embedding", (-1, 3)))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    assert client.post("/predict", [[1, 2, 3]]).json()["predictions"] == [{"embedding": [10, 20, 30]}]


COLUMNS = Declaration("table", (Column("a", "number"), Column("b", "number", missing=True)))


@pytest.fixture(scope="module")
def named() -> Signature:
    """A matrix of two columns that have names."""
    pair = Tensor("x", "FP32", (-1, 2))
    bundle: Any = SimpleNamespace(name="m", version=1, inputs=[pair], outputs=[pair], labels=None)
    return Signature(bundle, adapter=load(COLUMNS, (pair,), Path()))


@pytest.mark.parametrize(
    "body", [b"[[1,2.5],[3,4]]", b"[" + b",".join([b"[1,2.5]"] * 2000) + b"]"], ids=["short", "long"]
)
def test_lists_of_numbers_are_rows_of_a_matrix_without_its_adapter(named: Signature, body: bytes) -> None:
    call = plain.decode(named, {}, body)

    assert call.raw is None
    assert call.feeds["x"][0].tolist() == [1, 2.5]


@pytest.mark.parametrize("rows", [[[1, None]], [[1, True]], [[1]], [{"a": 1, "b": 2}], [[1, "2"]]], ids=str)
def test_other_rows_of_a_matrix_are_left_to_its_adapter(named: Signature, rows: list[Any]) -> None:
    assert plain.decode(named, {}, json.dumps(rows).encode()).raw == rows

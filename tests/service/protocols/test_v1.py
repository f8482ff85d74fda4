import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from tests.service.conftest import ELEMENT_TYPES, Client, Graph, identity, publish

from snooze.bundle.contract import Datatype, Tensor
from snooze.service import Settings, create_app

ROW = [0.5] * 30
PEOPLE = [{"age": 1, "weight": 2, "note": "x"}, {"age": 3, "weight": 4, "note": "ü"}]


@pytest.mark.parametrize("path", ["/v1/models/sum:predict", "/v1/models/sum/versions/1:predict"])
@pytest.mark.parametrize(
    ("request_body", "answer_body"),
    [
        ({"instances": [[1, 2, 3], [4, 5, 6.5]]}, {"predictions": [[6.0], [15.5]]}),
        ({"instances": [{"x": [1, 2, 3]}]}, {"predictions": [[6.0]]}),
        ({"inputs": [[1, 2, 3], [4, 5, 6.5]]}, {"outputs": [[6.0], [15.5]]}),
        ({"inputs": {"x": [[1, 2, 3]]}, "signature_name": "serving_default"}, {"outputs": [[6.0]]}),
    ],
)
def test_the_only_output_is_unnamed(client: Client, path: str, request_body: Any, answer_body: Any) -> None:
    answer = client.post(path, request_body)

    assert (answer.status, answer.json()) == (200, answer_body)
    assert answer.headers["snooze-model"] == "sum"


def test_several_outputs_are_named_in_every_row(client: Client) -> None:
    answer = client.post("/v1/models/person:predict", {"instances": PEOPLE})

    assert answer.json() == {"predictions": [{"total": 3, "said": "x"}, {"total": 7, "said": "ü"}]}


def test_several_outputs_are_named_once_by_column(client: Client) -> None:
    columns = {key: [person[key] for person in PEOPLE] for key in PEOPLE[0]}

    answer = client.post("/v1/models/person:predict", {"inputs": columns})

    assert answer.json() == {"outputs": {"total": [3, 7], "said": ["x", "ü"]}}


@pytest.mark.parametrize("form", ["instances", "inputs"])
@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_every_datatype_comes_back(client: Client, datatype: Datatype, form: str) -> None:
    values: Any = {"BYTES": [["a", "null"], ["", "ü"]], "BOOL": [[True, False], [False, True]]}
    value = values.get(datatype, [[0, 1], [2, 100]])

    answer = client.post(f"/v1/models/identity-{datatype.lower()}:predict", {form: value})

    assert list(answer.json().values()) == [value]


def test_single_precision_is_written_with_its_own_digits(client: Client) -> None:
    answer = client.post("/v1/models/identity-fp32:predict", {"instances": [[0.1, 0.2]]})

    assert answer.body == b'{"predictions":[[0.1,0.2]]}'


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_strings_may_be_in_base64(client: Client, form: str) -> None:
    encoded = {"b64": base64.b64encode("grün".encode()).decode()}

    answer = client.post("/v1/models/identity-bytes:predict", {form: [[encoded, "plain"]]})

    assert list(answer.json().values()) == [[["grün", "plain"]]]


def test_an_instance_may_be_one_string_in_base64(tmp_path: Path) -> None:
    publish(tmp_path, "text", identity("BYTES", (-1,)))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    answer = client.post("/v1/models/text:predict", {"instances": [{"b64": "YQ=="}, "b", {"b64": ""}]})

    assert answer.json() == {"predictions": ["a", "b", ""]}


def test_more_rows_than_are_written_at_once_keep_their_order(client: Client) -> None:
    people = [{"age": i, "weight": 0, "note": str(i)} for i in range(2100)]

    answer = client.post("/v1/models/person:predict", {"instances": people})

    assert answer.json()["predictions"] == [{"total": i, "said": str(i)} for i in range(2100)]


@pytest.fixture(scope="module")
def scalars(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A client of a model whose input and outputs have no rows: twice a number, and a matrix of texts."""
    root = tmp_path_factory.mktemp("scalars")
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Identity", ["words"], ["matrix"]),
    ]
    weights = {"words": np.array([["a"], ["b"]], object)}
    outputs = [Tensor("twice", "FP32", ()), Tensor("matrix", "BYTES", (2, 1))]
    publish(root, "scalar", Graph(nodes, [Tensor("x", "FP32", ())], outputs, {"x": np.array(3, np.float32)}, weights))
    publish(root, "fixed", identity("FP16", (3,)))
    return Client(create_app(Settings(models=(root,), log="off")))


def test_columns_may_have_no_rows(scalars: Client) -> None:
    answer = scalars.post("/v1/models/scalar:predict", {"inputs": 1.5})

    assert answer.json() == {"outputs": {"twice": 3.0, "matrix": [["a"], ["b"]]}}


def test_a_single_value_is_no_instance(scalars: Client) -> None:
    answer = scalars.post("/v1/models/scalar:predict", {"instances": [1.5]})

    assert (answer.status, answer.error) == (400, "input 'x': expected one value, as one of 'inputs', got [1.5]")


def test_a_model_without_rows_takes_a_fixed_number_of_instances(scalars: Client) -> None:
    answer = scalars.post("/v1/models/fixed:predict", {"instances": [1, 2, 3]})

    assert answer.json() == {"predictions": [1, 2, 3]}


def test_an_output_without_rows_cannot_be_returned_by_row(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0)]
    graph = Graph(nodes, [Tensor("x", "FP32", (2,))], [Tensor("total", "FP32", ())], {"x": np.ones(2, np.float32)})
    publish(tmp_path, "total", graph)
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    by_row = client.post("/v1/models/total:predict", {"instances": [1, 2]})
    by_column = client.post("/v1/models/total:predict", {"inputs": [1, 2]})

    problem = "output 'total' has shape [], no row for each of 2 instances; send 'inputs' instead of 'instances'"
    assert (by_row.status, by_row.error) == (400, problem)
    assert by_column.json() == {"outputs": 3.0}


@pytest.mark.parametrize(
    ("model", "document", "error"),
    [
        ("sum", [], "expected a JSON object with either 'instances' or 'inputs'"),
        ("sum", {}, "expected a JSON object with either 'instances' or 'inputs'"),
        (
            "sum",
            {"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]},
            "expected a JSON object with either 'instances' or 'inputs'",
        ),
        ("sum", {"instances": 1}, "expected 'instances' to be a list of at least one row, got 1"),
        ("sum", {"instances": []}, "expected 'instances' to be a list of at least one row, got []"),
        ("sum", {"instances": [1]}, "input 'x': expected each row to be a list; for one row: [[...]], got 1"),
        ("sum", {"instances": [[1, 2]]}, "input 'x': expected shape [any, 3], got [1, 2]"),
        ("sum", {"instances": [[1, 2, True]]}, "input 'x': expected numbers for FP32, got true"),
        ("sum", {"instances": [{"y": [1, 2, 3]}]}, "instance 0: expected an object with: x"),
        ("sum", {"inputs": []}, "input 'x': expected a list of at least one row, got []"),
        ("sum", {"inputs": 5}, "input 'x': expected a list of at least one row, got 5"),
        ("sum", {"inputs": {"y": 1}}, "expected 'inputs' to be an object with: x"),
        ("person", {"inputs": [1]}, "expected 'inputs' to be an object with: age, weight, note"),
        ("person", {"instances": [1]}, "instance 0: expected an object with: age, weight, note"),
        (
            "person",
            {"instances": [PEOPLE[0], {"age": 1}]},
            "instance 1: expected an object with: age, weight, note",
        ),
        (
            "sum",
            {"instances": [[1, 2, 3]], "signature_name": "other"},
            "signature_name: the only one is 'serving_default', got 'other'",
        ),
        (
            "sum",
            {"instances": [[1, 2, 3]], "signature_name": []},
            "signature_name: the only one is 'serving_default', got []",
        ),
    ],
)
def test_says_what_is_wrong(client: Client, model: str, document: Any, error: str) -> None:
    answer = client.post(f"/v1/models/{model}:predict", document)

    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize("text", ["a", "/w==", "ü", 5, None])
def test_says_what_is_wrong_with_base64(client: Client, text: object) -> None:
    answer = client.post("/v1/models/identity-bytes:predict", {"instances": [[{"b64": text}, "x"]]})

    assert answer.status == 400
    assert answer.error.startswith("input 'x': b64: expected UTF-8 in base64, got ")


def test_deep_nesting_is_refused(client: Client) -> None:
    body = b'{"instances":' + b"[" * 900 + b"]" * 900 + b"}"

    assert client.ask("POST", "/v1/models/identity-bytes:predict", body).status == 400


def test_nan_is_refused_and_a_text_that_says_null_is_not(client: Client) -> None:
    largest = [3.4e38, 3.4e38, 3.4e38]  # their sum is Infinity

    answer = client.post("/v1/models/sum:predict", {"instances": [largest]})

    assert (answer.status, answer.error) == (
        406,
        "output 'value' contains NaN or Infinity, which JSON cannot express; "
        "request it from /v2/models/sum/infer as binary_data",
    )
    texts = [{"age": 1, "weight": 2, "note": "null"}]
    assert client.post("/v1/models/person:predict", {"instances": texts}).status == 200


def test_models_are_listed(client: Client) -> None:
    names = client.ask("GET", "/v1/models").json()["models"]

    assert {"tumour", "sum", "person"} <= set(names)


@pytest.mark.parametrize(("path", "versions"), [("tumour", ["1", "2"]), ("tumour/versions/1", ["1"])])
def test_a_status_is_that_of_kserve_and_of_tensorflow_serving(client: Client, path: str, versions: list[str]) -> None:
    answer = client.ask("GET", f"/v1/models/{path}")

    status = {"error_code": "OK", "error_message": ""}
    assert answer.json() == {
        "name": "tumour",
        "ready": True,
        "model_version_status": [{"version": one, "state": "AVAILABLE", "status": status} for one in versions],
    }


def test_a_model_that_cannot_answer_is_503(tmp_path: Path) -> None:
    publish(tmp_path, "sound", identity("FP32"))
    folder = publish(tmp_path, "broken", identity("FP32"))
    document = json.loads((folder / "bundle.json").read_text())
    (folder / document["session"]["file"]).write_bytes(b"damaged")
    client = Client(create_app(Settings(models=(tmp_path,), log="off", ready="any")))

    status = client.ask("GET", "/v1/models/broken")
    prediction = client.post("/v1/models/broken:predict", {"instances": [[1, 2]]})

    assert (status.status, prediction.status) == (503, 503)
    assert status.error.startswith("model 'broken' is not ready: ")
    assert client.ask("GET", "/v1/models").json() == {"models": ["broken", "sound"]}


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v1/models/sum:explain", 501, "':explain' is not supported; use ':predict'"),
        ("POST", "/v1/models/sum/versions/1:classify", 501, "':classify' is not supported; use ':predict'"),
        ("POST", "/v1/models/none:predict", 404, "no model 'none'; available: "),
        ("POST", "/v1/models/none:explain", 404, "no model 'none'; available: "),
        ("POST", "/v1/models/sum/versions/7:predict", 404, "no version '7' of model 'sum'; available: 1"),
        ("GET", "/v1/models/none", 404, "no model 'none'; available: "),
        ("GET", "/v1/models/sum/versions/7", 404, "no version '7' of model 'sum'; available: 1"),
        ("GET", "/v1/models/sum:predict", 405, "GET is not allowed here; use POST"),
        ("POST", "/v1/models/sum", 405, "POST is not allowed here; use GET"),
    ],
)
def test_other_paths_are_refused(client: Client, method: str, path: str, status: int, error: str) -> None:
    answer = client.ask(method, path, b"{}")

    assert answer.status == status
    assert answer.error.startswith(error)


JSON_VALUES = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, 2**70, "", "a", "null", {"b64": "YQ=="}, {"b64": 5}]),
    lambda value: (
        st.lists(value, max_size=3) | st.dictionaries(st.sampled_from(["x", "b64", "age"]), value, max_size=2)
    ),
    max_leaves=12,
)


@given(
    model=st.sampled_from(["sum", "person", "identity-bytes", "identity-bool", "identity-uint8"]),
    document=st.dictionaries(st.sampled_from(["instances", "inputs"]), JSON_VALUES, min_size=1, max_size=1),
)
def test_any_value_is_an_answer_or_a_refusal(client: Client, model: str, document: Any) -> None:
    assert client.post(f"/v1/models/{model}:predict", document).status in (200, 400)

import json
import struct
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import Client, picture, publish_each_adapter

from snooze.service import Settings, create_app

RED, GREEN = picture((255, 0, 0), "JPEG"), picture((0, 255, 0))
R, G = b64encode(RED).decode(), b64encode(GREEN).decode()
PIXELS = np.full((8, 8, 3), [0.0, 0.0, 1.0]).tolist()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Serves a model with each adapter."""
    root = tmp_path_factory.mktemp("models")
    publish_each_adapter(root)
    return Client(create_app(Settings(models=(root,), log="off")))


def labels(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [prediction["label"] for prediction in answer.json()["predictions"]]


def texts(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [prediction["y"] for prediction in answer.json()["predictions"]]


@pytest.mark.parametrize("rows", [[R, G], [{"b64": R}, {"b64": G}], [{"image": R}, {"image": {"b64": G}}]])
def test_pictures_in_json_are_base64(server: Client, rows: Any) -> None:
    assert labels(server.post("/models/colours/predict", rows)) == ["red", "green"]
    assert labels(server.post("/models/colours/predict", {"rows": rows})) == ["red", "green"]


@pytest.mark.parametrize("rows", [[PIXELS], [{"pixels": PIXELS}]])
def test_a_model_s_own_inputs_are_taken_as_they_are(server: Client, rows: Any) -> None:
    assert labels(server.post("/models/colours/predict", rows)) == ["blue"]


@pytest.mark.parametrize(("model", "said"), [("words", ["Ja", "Nein"]), ("clean", ["ja", "nein"])])
def test_texts_are_taken_in_every_form(server: Client, model: str, said: list[str]) -> None:
    name = {"words": "x", "clean": "text"}[model]
    path = f"/models/{model}/predict"
    for rows in (
        ["Ja", "Nein"],
        [["Ja"], ["Nein"]],
        [{name: "Ja"}, {name: "Nein"}],
        [{"b64": "SmE="}, {"b64": "TmVpbg=="}],
    ):
        assert texts(server.post(path, rows)) == said, rows
        assert texts(server.post(path, {"rows": rows})) == said, rows
        assert texts(server.post(path, {"texts": rows})) == said, rows


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ([{"note": "good", "age": 1, "weight": 2}], 3),
        ([{"note": "good", "age": 1, "weight": None}], 8),
        ([{"note": "good", "age": 1}], 8),
        ([[1, 2, "good"]], 3),
        ([[1, None, "good"]], 8),
    ],
)
def test_rows_of_a_table_are_objects_or_lists(server: Client, rows: Any, value: int) -> None:
    assert server.post("/models/patient/predict", rows).json()["predictions"][0]["value"] == value


@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("colours", [{"b64": "?"}], "picture 0: expected base64, got '?' (Only base64 data is allowed)"),
        ("colours", [R, {"b64": R[:-1]}], "picture 1: expected base64, got "),
        ("colours", [R, 5], "picture 1: expected base64, got 5 "),
        ("colours", [R, PIXELS], "picture 1: expected base64, got a list of 8 values"),
        ("colours", [{"b64": 5}], "picture 0: expected base64, got 5 "),
        ("colours", [{"image": R, "other": 1}], "picture 0: expected base64, got an object"),
        ("colours", [{"b64": ""}], "picture 0: "),
        ("colours", [{"b64": "AAAA"}], "picture 0: "),
        ("colours", {"texts": [R]}, 'expected {"rows": [...]} or a list of rows'),
        ("clean", ["a", 5], "text 1: expected a text, got 5"),
        ("clean", ["a", None], "text 1: expected a text, got null"),
        ("clean", [{"b64": "/w=="}], "text 0: is not UTF-8 (byte 0)"),
        ("clean", {"texts": ["a"], "rows": ["a"]}, "expected either 'rows' or 'texts', got both"),
        ("clean", {"texts": []}, "expected at least one row, got an empty list"),
        ("patient", [{"age": "x", "weight": 2, "note": "good"}], "row 0, column 'age': "),
        ("patient", [[1, 2, "good"], [1, 2, "fine"]], "row 1, column 'note': "),
        ("patient", [{"weight": 2, "note": "good"}], "row 0, column 'age': "),
        ("patient", [[1, 2]], "row 0: expected 3 values"),
        ("patient", [5], "row 0: expected an object or a list of 3 values"),
    ],
)
def test_the_row_that_is_wrong_is_named(server: Client, model: str, body: Any, error: str) -> None:
    answer = server.post(f"/models/{model}/predict", body)

    assert answer.status == 400
    assert answer.error.startswith(error)


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"b64": R}, {"b64": G}]},
        {"instances": [{"image": {"b64": R}}, {"image": {"b64": G}}]},
        {"instances": [R, G]},
        {"inputs": [{"b64": R}, {"b64": G}]},
        {"inputs": {"image": [{"b64": R}, {"b64": G}]}},
        {"inputs": {"image": [R, G]}},
    ],
)
def test_v1_takes_the_adapter_s_input(server: Client, document: Any) -> None:
    answer = server.post("/v1/models/colours:predict", document).json()

    if "instances" in document:
        assert [prediction["label"] for prediction in answer["predictions"]] == [0, 1]
    else:
        assert answer["outputs"]["label"] == [0, 1]


@pytest.mark.parametrize(
    ("model", "document", "answer"),
    [
        ("clean", {"instances": ["Ja"]}, {"predictions": ["ja"]}),
        ("clean", {"instances": [{"text": "Ja"}]}, {"predictions": ["ja"]}),
        ("clean", {"instances": [{"x": "Ja"}]}, {"predictions": ["Ja"]}),
        ("clean", {"inputs": {"x": ["Ja"]}}, {"outputs": ["Ja"]}),
        ("words", {"instances": ["Ja"]}, {"predictions": ["Ja"]}),
    ],
)
def test_v1_takes_texts_to_clean_and_the_model_s_own(server: Client, model: str, document: Any, answer: Any) -> None:
    assert server.post(f"/v1/models/{model}:predict", document).json() == answer


@pytest.mark.parametrize(
    ("path", "document", "error"),
    [
        (
            "/v1/models/colours:predict",
            {"inputs": {"image": [R], "pixels": [PIXELS]}},
            "input 'image' stands for all inputs of the model; send it alone",
        ),
        (
            "/v1/models/colours:predict",
            {"instances": [{"image": {"b64": R}, "pixels": PIXELS}]},
            "picture 0: expected base64, got an object (",
        ),
        (
            "/v1/models/colours:predict",
            {"instances": [{"b64": R}, {"pixels": PIXELS}]},
            "picture 1: expected base64, got an object (",
        ),
        (
            "/v1/models/colours:predict",
            {"inputs": {"image": []}},
            "input 'image': expected a list of at least one value",
        ),
        (
            "/v1/models/colours:predict",
            {"inputs": {"image": {"b64": R}}},
            "input 'image': expected a list of at least one value",
        ),
    ],
)
def test_v1_says_what_is_wrong(server: Client, path: str, document: Any, error: str) -> None:
    answer = server.post(path, document)

    assert answer.status == 400
    assert answer.error.startswith(error)


def infer(server: Client, model: str, *tensors: dict[str, Any]) -> Any:
    return server.post(f"/v2/models/{model}/infer", {"inputs": list(tensors)})


def tensor(name: str, data: list[Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data} | changes


def binary(server: Client, model: str, name: str, values: list[bytes], tail: bytes = b"", **changes: Any) -> Any:
    raw = b"".join(struct.pack("<I", len(value)) + value for value in values) + tail
    described = {
        "name": name,
        "datatype": "BYTES",
        "shape": [len(values)],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [described | changes]}).encode()
    length = str(len(head))
    return server.ask("POST", f"/v2/models/{model}/infer", head + raw, inference_header_content_length=length)


def output(answer: Any) -> Any:
    assert answer.status == 200, answer.body
    return answer.json()["outputs"][0]["data"]


def test_v2_takes_the_adapter_s_input(server: Client) -> None:
    assert output(binary(server, "colours", "image", [RED, GREEN])) == [0, 1]
    assert output(infer(server, "colours", tensor("image", [R, G]))) == [0, 1]
    assert output(binary(server, "clean", "text", ["Größe".encode(), b""])) == ["größe", ""]
    assert output(infer(server, "clean", tensor("text", ["Größe"]))) == ["größe"]


def test_v2_takes_the_model_s_own_inputs_as_before(server: Client) -> None:
    own = {"name": "pixels", "datatype": "FP32", "shape": [1, 8, 8, 3], "data": [PIXELS]}

    assert output(infer(server, "colours", own)) == [2]
    assert output(infer(server, "clean", tensor("x", ["Größe"]))) == ["Größe"]
    assert output(binary(server, "clean", "x", ["Größe".encode()])) == ["Größe"]


@pytest.mark.parametrize(
    ("model", "tensors", "error"),
    [
        (
            "colours",
            [tensor("image", [R]), {"name": "pixels", "datatype": "FP32", "shape": [1, 8, 8, 3], "data": [0] * 192}],
            "input 'image' stands for all inputs of the model; send it alone",
        ),
        ("colours", [tensor("image", [R]), tensor("image", [R])], "input 'image' is duplicated"),
        ("colours", [tensor("image", [R], datatype="UINT8")], "input 'image': expected datatype BYTES, got 'UINT8'"),
        ("colours", [tensor("image", [R], shape=[1, 1])], "input 'image': expected shape [any], got [1, 1]"),
        ("colours", [tensor("image", [R, G], shape=[1])], "input 'image': shape [1] needs 1 values, got 2"),
        ("colours", [tensor("image", [])], "input 'image': expected at least one value"),
        ("colours", [tensor("image", [R, "?"])], "picture 1: expected base64, got '?' (Only base64 data is allowed)"),
        ("colours", [tensor("image", [{"b64": R}])], "input 'image': expected strings for BYTES, got an object"),
        ("words", [tensor("text", ["a"])], "unknown input 'text'; the model takes: x"),
    ],
)
def test_v2_says_what_is_wrong(server: Client, model: str, tensors: list[dict[str, Any]], error: str) -> None:
    answer = infer(server, model, *tensors)

    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize(
    ("values", "tail", "changes"),
    [
        ([RED], b"x", {}),
        ([RED], b"", {"shape": [2]}),
        ([RED, GREEN], b"", {"shape": [1]}),
        ([], b"\xff\0\0\0a", {"shape": [1]}),
    ],
)
def test_v2_refuses_binary_data_that_do_not_fit(server: Client, values: Any, tail: bytes, changes: Any) -> None:
    answer = binary(server, "colours", "image", values, tail, **changes)

    assert answer.status == 400
    assert answer.error.startswith("input 'image': expected ")


def test_a_text_of_a_binary_tensor_is_utf_8(server: Client) -> None:
    answer = binary(server, "clean", "text", [b"a", b"\xff"])

    assert (answer.status, answer.error) == (400, "text 1: is not UTF-8 (byte 0)")


def test_the_metadata_names_the_adapter_s_input(server: Client) -> None:
    described = {model: server.ask("GET", f"/v2/models/{model}").json() for model in ("colours", "clean", "words")}

    assert described["colours"]["adapter"] == {
        "kind": "image",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
    }
    assert described["colours"]["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, 8, 8, 3]}]
    assert described["clean"]["adapter"]["inputs"][0]["name"] == "text"
    assert described["words"]["adapter"] == {"kind": "text", "inputs": []}

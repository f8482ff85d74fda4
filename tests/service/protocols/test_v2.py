import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import ELEMENT_TYPES, Answer, Client

from snooze.bundle.contract import Datatype
from snooze.bundle.datatypes import DATATYPES

ROW = [0.5] * 30


def tensor(
    data: Any = ROW, shape: Any = (1, 30), datatype: Datatype = "FP32", name: Any = "features", **more: Any
) -> Any:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def infer(client: Client, document: Any, model: str = "tumour", **headers: str) -> Answer:
    return client.post(f"/v2/models/{model}/infer", document, **headers)


def binary(document: Any, *tensors: bytes) -> tuple[bytes, str]:
    text = json.dumps(document).encode()
    return text + b"".join(tensors), str(len(text))


def test_answers_with_every_output(client: Client) -> None:
    answer = infer(client, {"id": "mine", "inputs": [tensor()]})

    assert answer.status == 200
    document = answer.json()
    label, probabilities = document.pop("outputs")
    assert document == {"model_name": "tumour", "model_version": "2", "id": "mine"}
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "INT64", [1])
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [1, 2])
    assert sum(probabilities["data"]) == pytest.approx(1)


def test_answers_only_the_outputs_asked_for_in_their_order(client: Client) -> None:
    asked = [{"name": "probabilities"}, {"name": "label"}]

    answer = infer(client, {"inputs": [tensor()], "outputs": asked})

    assert [output["name"] for output in answer.json()["outputs"]] == ["probabilities", "label"]


def test_an_id_is_made_where_none_is_given(client: Client) -> None:
    answer = infer(client, {"inputs": [tensor()]})

    assert answer.json()["id"] == answer.headers["x-request-id"]


def test_nested_data_and_unknown_keys_are_taken(client: Client) -> None:
    answer = infer(client, {"model_name": "x", "parameters": {"content_type": "np"}, "inputs": [tensor([ROW])]})

    assert answer.status == 200


def test_a_version_can_be_asked_for(client: Client) -> None:
    answer = client.post("/v2/models/tumour/versions/1/infer", {"inputs": [tensor()]})

    assert (answer.json()["model_version"], answer.headers["snooze-version"]) == ("1", "1")


def test_no_rows_are_an_answer_of_no_rows(client: Client) -> None:
    document = {"inputs": [tensor([], [0, 2], "INT32", "x")]}

    assert infer(client, document, "identity-int32").json()["outputs"][0]["shape"] == [0, 2]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "expected a JSON object with 'inputs'"),
        ({}, "expected 'inputs' to be a list of tensors"),
        ({"inputs": [1]}, "expected each of 'inputs' to be an object"),
        ({"inputs": []}, "input 'features' is missing; the model takes: features"),
        ({"inputs": [tensor(name="x")]}, "unknown input 'x'; the model takes: features"),
        ({"inputs": [tensor(name=None)]}, "unknown input null; the model takes: features"),
        ({"inputs": [tensor(), tensor()]}, "input 'features' is duplicated"),
        ({"inputs": [tensor(datatype="FP64")]}, "input 'features': expected datatype FP32, got 'FP64'"),
        ({"inputs": [tensor(shape=[1, 29])]}, "input 'features': expected shape [any, 30], got [1, 29]"),
        ({"inputs": [tensor(ROW[1:])]}, "input 'features': shape [1, 30] needs 30 values, got 29"),
        ({"inputs": [tensor([*ROW[1:], None])]}, "input 'features': expected numbers for FP32, got null"),
        ({"inputs": [tensor([*ROW[1:], True])]}, "input 'features': expected numbers for FP32, got true"),
        (
            {"inputs": [{"name": "features", "shape": [1, 30], "datatype": "FP32"}]},
            "input 'features': has neither data nor binary_data_size",
        ),
        (
            {"inputs": [tensor(parameters={"binary_data_size": 120})]},
            "input 'features': has binary_data_size, but there is no Inference-Header-Content-Length header",
        ),
        (
            {"inputs": [tensor(parameters={"shared_memory_region": "r"})]},
            "parameter 'shared_memory_region': the extension for shared memory is not supported",
        ),
        (
            {"inputs": [tensor()], "parameters": {"sequence_id": 4}},
            "parameter 'sequence_id': the extension for sequences is not supported",
        ),
        ({"inputs": [tensor()], "parameters": None, "outputs": None}, None),
        ({"inputs": [tensor()], "parameters": False}, "expected 'parameters' to be an object"),
        ({"inputs": [tensor(parameters=[])]}, "expected 'parameters' to be an object"),
        ({"inputs": [tensor()], "parameters": [1]}, "expected 'parameters' to be an object"),
        (
            {"inputs": [tensor()], "parameters": {"timeout": "1"}},
            "parameter 'timeout': expected microseconds from 0 (no limit) to 86400000000, got '1'",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "x"}]},
            "unknown output 'x'; the model returns: label, probabilities",
        ),
        ({"inputs": [tensor()], "outputs": [{"name": "label"}] * 2}, "output 'label' is duplicated"),
        ({"inputs": [tensor()], "outputs": {}}, "expected 'outputs' to be a list"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": ""}]},
            "expected 'parameters' to be an object",
        ),
        ({"inputs": [tensor()], "outputs": "label"}, "expected 'outputs' to be a list"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"shared_memory_region": "r"}}]},
            "parameter 'shared_memory_region': the extension for shared memory is not supported",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"binary_data": 1}}]},
            "parameter 'binary_data': expected true or false, got 1",
        ),
        ({"inputs": [tensor()], "id": 7}, "expected 'id' to be a string of at most 1024 characters, got 7"),
    ],
)
def test_says_what_is_wrong_with_a_request(client: Client, document: Any, error: str | None) -> None:
    answer = infer(client, document)

    assert (answer.status, answer.json().get("error")) == (200 if error is None else 400, error)


def test_raw_single_precision_is_widened_for_a_model_in_double_precision(client: Client) -> None:
    numbers = np.array([0.1, np.nan], np.float32)
    declared = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    body, length = binary({"inputs": [declared], "parameters": {"binary_data_output": True}}, numbers.tobytes())

    answer = client.ask("POST", "/v2/models/identity-fp64/infer", body, inference_header_content_length=length)

    assert answer.body.endswith(numbers.astype(np.float64).tobytes())


def test_json_declared_as_single_precision_keeps_its_digits_in_a_model_in_double_precision(client: Client) -> None:
    answer = infer(client, {"inputs": [tensor([0.1, 1e300], [1, 2], "FP32", "x")]}, "identity-fp64")

    (output,) = answer.json()["outputs"]
    assert (output["datatype"], output["data"]) == ("FP64", [0.1, 1e300])


@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_binary_tensors_go_in_and_out(client: Client, datatype: Datatype) -> None:
    raw = b"\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xbc"
    if datatype != "BYTES":
        raw = bytes([0, 1, 0, 1]) if datatype == "BOOL" else np.arange(16, dtype=np.uint8).tobytes()
    size = 1 if datatype == "BYTES" else len(raw) // DATATYPES[datatype].itemsize // 2
    declared = {"name": "x", "shape": [size, 2], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    body, length = binary({"parameters": {"binary_data_output": True}, "inputs": [declared]}, raw)

    answer = client.ask(
        "POST", f"/v2/models/identity-{datatype.lower()}/infer", body, inference_header_content_length=length
    )

    end = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:end])["outputs"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (output["shape"], output["parameters"]) == ([size, 2], {"binary_data_size": len(raw)})
    assert "data" not in output
    assert answer.body[end:] == raw


def test_an_output_decides_for_itself_whether_it_is_binary(client: Client) -> None:
    outputs = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    document = {"inputs": [tensor()], "outputs": outputs, "parameters": {"binary_data_output": True}}

    answer = infer(client, document)

    end = int(answer.headers["inference-header-content-length"])
    label, probabilities = json.loads(answer.body[:end])["outputs"]
    assert "data" in label
    assert probabilities["parameters"] == {"binary_data_size": 8}
    assert sum(struct.unpack("<2f", answer.body[end:])) == pytest.approx(1)


def test_nan_goes_through_as_binary_and_is_refused_as_json(client: Client) -> None:
    raw = np.array([[1, np.nan, 2]], np.float32).tobytes()
    declared = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    body, length = binary({"inputs": [declared]}, raw)
    as_json = client.ask("POST", "/v2/models/sum/infer", body, inference_header_content_length=length)
    body, length = binary({"inputs": [declared], "parameters": {"binary_data_output": True}}, raw)
    as_binary = client.ask("POST", "/v2/models/sum/infer", body, inference_header_content_length=length)

    assert (as_json.status, as_json.error) == (
        406,
        "output 'value' contains NaN or Infinity, which JSON cannot express; request it as binary_data",
    )
    assert np.isnan(np.frombuffer(as_binary.body[-4:], np.float32)[0])


def test_a_text_that_says_null_is_a_text(client: Client) -> None:
    document = {"inputs": [tensor(["null", "x"], [1, 2], "BYTES", "x")]}

    assert infer(client, document, "identity-bytes").json()["outputs"][0]["data"] == ["null", "x"]


@pytest.mark.parametrize("length", ["99999999", "-5", "1e3", "x", "+1", "9" * 30])
def test_a_header_length_out_of_range_is_refused(client: Client, length: str) -> None:
    answer = client.ask("POST", "/v2/models/sum/infer", b"{}", inference_header_content_length=length)

    assert answer.status == 400
    assert answer.error.startswith("Inference-Header-Content-Length: expected 0 to 2, the size of the body, got ")


@pytest.mark.parametrize(
    ("size", "raw", "error"),
    [
        (16, b"\0" * 12, "input 'x': binary_data_size is 16, but only 12 bytes are left"),
        (12, b"\0" * 13, "1 bytes after the JSON belong to no input"),
        (-1, b"\0" * 12, "input 'x': expected binary_data_size to be a number of bytes, got -1"),
        ("12", b"\0" * 12, "input 'x': expected binary_data_size to be a number of bytes, got '12'"),
        (8, b"\0" * 8, "input 'x': shape [1, 3] of FP32 needs 12 bytes, got 8"),
    ],
)
def test_says_what_is_wrong_with_binary_data(client: Client, size: object, raw: bytes, error: str) -> None:
    declared = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    body, length = binary({"inputs": [declared]}, raw)

    answer = client.ask("POST", "/v2/models/sum/infer", body, inference_header_content_length=length)

    assert (answer.status, answer.error) == (400, error)


def test_a_raw_request_is_one_tensor(client: Client) -> None:
    raw = np.array([[1, 2, 3], [4, 5, 6]], np.float32).tobytes()

    answer = client.ask("POST", "/v2/models/sum/infer", raw, inference_header_content_length="0")

    assert answer.body[-8:] == np.array([6, 15], np.float32).tobytes()


def test_a_raw_request_needs_a_model_of_one_input(client: Client) -> None:
    answer = client.ask("POST", "/v2/models/person/infer", b"1", inference_header_content_length="0")

    assert (answer.status, answer.error) == (
        400,
        "a raw request needs a model with one input; this one takes: age, weight, note",
    )


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_read(client: Client, encoding: str, pack: Any) -> None:
    body = pack(json.dumps({"inputs": [tensor()]}).encode())

    assert client.ask("POST", "/v2/models/tumour/infer", body, content_encoding=encoding).status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, deflate", "gzip"), ("deflate", "deflate"), ("gzip;q=0", None)]
)
def test_large_json_is_compressed_as_the_client_accepts(client: Client, accepted: str, encoding: str | None) -> None:
    document = {"inputs": [tensor([1.5] * 9000, [4500, 2], "FP64", "x")]}

    answer = infer(client, document, "identity-fp64", accept_encoding=accepted)

    assert (answer.headers.get("content-encoding"), answer.headers["vary"]) == (encoding, "accept-encoding")
    plain = zlib.decompress(answer.body, 47) if encoding else answer.body
    assert json.loads(plain)["outputs"][0]["data"] == [1.5] * 9000
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_a_compressed_binary_answer_has_the_length_of_its_plain_header(client: Client) -> None:
    asked = {"inputs": [tensor([1.5] * 9000, [4500, 2], "FP64", "x")], "parameters": {"binary_data_output": True}}

    answer = infer(client, asked, "identity-fp64", accept_encoding="gzip")

    assert answer.headers["content-encoding"] == "gzip"
    plain = gzip.decompress(answer.body)
    end = int(answer.headers["inference-header-content-length"])
    assert json.loads(plain[:end])["outputs"][0]["parameters"] == {"binary_data_size": 72_000}
    assert plain[end:] == struct.pack("<d", 1.5) * 9000


def test_several_inputs_of_several_kinds(client: Client) -> None:
    numbers = [tensor([1, 2], [2], "INT64", name) for name in ("age", "weight")]

    answer = infer(client, {"inputs": [*numbers, tensor(["a", "b"], [2], "BYTES", "note")]}, "person")

    assert [output["data"] for output in answer.json()["outputs"]] == [[2, 4], ["a", "b"]]


def test_what_the_model_itself_refuses_is_an_error(client: Client) -> None:
    numbers = [tensor([1, 2], [2], "INT64", "age"), tensor([1, 2, 3], [3], "INT64", "weight")]

    answer = infer(client, {"inputs": [*numbers, tensor(["a"], [1], "BYTES", "note")]}, "person")

    assert answer.status in (400, 500)
    assert answer.error.startswith("model 'person' ")


@pytest.mark.parametrize("key", ["data", "d\\u0061ta"])
@pytest.mark.parametrize("word", ["true", "false"])
def test_a_boolean_among_numbers_is_found_however_the_key_is_written(client: Client, key: str, word: str) -> None:
    tensor = f'{{"name": "x", "shape": [1, 3], "datatype": "FP32", "{key}": [1.5, {word}, 2]}}'

    answer = client.ask("POST", "/v2/models/sum/infer", f'{{"inputs": [{tensor}], "more": {{"data": 1}}}}'.encode())

    assert (answer.status, answer.error) == (400, f"input 'x': expected numbers for FP32, got {word}")


def test_a_raw_request_holds_whole_rows(client: Client) -> None:
    answer = client.ask("POST", "/v2/models/tumour/infer", bytes(117), inference_header_content_length="0")

    assert (answer.status, answer.error) == (
        400,
        "input 'features': expected a multiple of 120 bytes, got 117",
    )


def test_an_id_that_is_null_is_none(client: Client) -> None:
    answer = infer(client, {"id": None, "inputs": [tensor()]})

    assert (answer.status, answer.json()["id"]) == (200, answer.headers["x-request-id"])


def test_a_timeout_of_zero_is_no_limit(client: Client) -> None:
    answer = infer(client, {"inputs": [tensor()], "parameters": {"timeout": 0}})

    assert answer.status == 200

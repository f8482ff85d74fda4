import json
import struct
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import Answer, Client

from snooze.bundle.contract import Datatype

ROWS = 3


def ask(client: Client, model: str, data: Any, shape: list[int], datatype: Datatype, name: str, output: Any) -> Answer:
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return client.post(f"/v2/models/{model}/infer", {"inputs": [tensor], "outputs": [output]})


def classes(client: Client, datatype: Datatype, data: list[Any], most: Any) -> Answer:
    """Ask a model of two classes a row, which returns what it is given."""
    output = {"name": "y", "parameters": {"classification": most}}
    return ask(client, f"identity-{datatype.lower()}", data, [len(data) // 2, 2], datatype, "x", output)


def test_scores_become_texts_with_their_labels(client: Client) -> None:
    wanted = [{"name": "probabilities"}, {"name": "probabilities", "parameters": {"classification": 2}}]
    features = np.random.default_rng(0).normal(size=ROWS * 30).tolist()

    plain, classified = (
        ask(client, "tumour", features, [ROWS, 30], "FP32", "features", output).json()["outputs"][0]
        for output in wanted
    )

    scores = np.array(plain["data"]).reshape(ROWS, 2)
    labels = ["malignant", "benign"]
    texts = [f"{row[i]:f}:{i}:{labels[i]}" for row in scores for i in np.argsort(-row)]
    assert classified == {"name": "probabilities", "datatype": "BYTES", "shape": [ROWS, 2], "data": texts}


@pytest.mark.parametrize(
    ("datatype", "data", "texts"),
    [
        ("FP32", [0.5, 2], ["2.000000:1", "0.500000:0"]),
        ("FP16", [-1, -2], ["-1.000000:0", "-2.000000:1"]),
        ("FP64", [1e-9, 0], ["0.000000:0", "0.000000:1"]),
        ("INT64", [-(2**63), 2**63 - 1], ["9223372036854775807:1", "-9223372036854775808:0"]),
        ("UINT8", [0, 255], ["255:1", "0:0"]),
        ("UINT64", [2**64 - 1, 1], ["18446744073709551615:0", "1:1"]),
        ("INT8", [7, 7], ["7:0", "7:1"]),
    ],
)
def test_values_are_written_as_triton_writes_them(
    client: Client, datatype: Datatype, data: list[Any], texts: list[str]
) -> None:
    (output,) = classes(client, datatype, data, 9).json()["outputs"]

    assert (output["shape"], output["data"]) == ([1, 2], texts)


@pytest.mark.parametrize(("most", "shape"), [(1, [3, 1]), (2, [3, 2]), (1000, [3, 2])])
def test_no_more_classes_than_there_are_come_back(client: Client, most: int, shape: list[int]) -> None:
    (output,) = classes(client, "FP32", [1, 2, 3, 4, 5, 6], most).json()["outputs"]

    assert output["shape"] == shape


def test_each_row_of_a_label_is_a_class_without_a_name(client: Client) -> None:
    output = {"name": "label", "parameters": {"classification": 1}}

    answer = ask(client, "tumour", [0.5] * 60, [2, 30], "FP32", "features", output)

    (label,) = answer.json()["outputs"]
    assert (label["shape"], {text[1:] for text in label["data"]}) == ([2, 1], {":0"})


def test_no_rows_are_no_classes(client: Client) -> None:
    (output,) = classes(client, "FP32", [], 2).json()["outputs"]

    assert (output["shape"], output["data"]) == ([0, 2], [])


def test_zero_classes_are_the_output_itself(client: Client) -> None:
    (output,) = classes(client, "FP32", [1, 2], 0).json()["outputs"]

    assert (output["datatype"], output["data"]) == ("FP32", [1.0, 2.0])


def test_texts_go_out_as_binary_beside_other_outputs(client: Client) -> None:
    tensor = {"name": "features", "shape": [1, 30], "datatype": "FP32", "data": [0.5] * 30}
    parameters = {"classification": 1, "binary_data": True}
    outputs = [{"name": "label"}, {"name": "probabilities", "parameters": parameters}]

    answer = client.post("/v2/models/tumour/infer", {"inputs": [tensor], "outputs": outputs})

    end = int(answer.headers["inference-header-content-length"])
    label, probabilities = json.loads(answer.body[:end])["outputs"]
    text = answer.body[end + 4 :].decode()
    assert struct.unpack("<I", answer.body[end : end + 4]) == (len(text),)
    assert (label["datatype"], probabilities["datatype"], probabilities["shape"]) == ("INT64", "BYTES", [1, 1])
    assert text.split(":")[1:] == [str(label["data"][0]), ("malignant", "benign")[label["data"][0]]]


def test_nan_is_the_lowest_class(client: Client) -> None:
    raw = np.array([np.nan, -np.inf], np.float32).tobytes()
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    document = {"inputs": [tensor], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
    text = json.dumps(document).encode()

    answer = client.ask(
        "POST", "/v2/models/identity-fp32/infer", text + raw, inference_header_content_length=str(len(text))
    )

    assert answer.json()["outputs"][0]["data"] == ["-inf:1", "nan:0"]


@pytest.mark.parametrize("most", [-1, True, "2", 1.5, None])
def test_a_number_of_classes_is_needed(client: Client, most: Any) -> None:
    answer = classes(client, "FP32", [1, 2], most)

    shown = {True: "true", None: "null", "2": "'2'"}.get(most, most)
    assert (answer.status, answer.error) == (
        400,
        f"parameter 'classification': expected a number of classes, got {shown}",
    )


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES"])
def test_what_is_not_a_number_has_no_classes(client: Client, datatype: Datatype) -> None:
    answer = classes(client, datatype, [True, False] if datatype == "BOOL" else ["a", "b"], 1)

    problem = f"output 'y': classification needs numbers, but its datatype is {datatype}"
    assert (answer.status, answer.error) == (400, problem)


def test_too_many_texts_are_refused(client: Client) -> None:
    output = {"name": "y", "parameters": {"classification": 2}}
    tensor = {"name": "x", "shape": [4_097, 2], "datatype": "UINT8", "parameters": {"binary_data_size": 8_194}}
    text = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()

    answer = client.ask(
        "POST",
        "/v2/models/identity-uint8/infer",
        text + bytes(8_194),
        inference_header_content_length=str(len(text)),
    )

    problem = "4097 x 2 classes are more than 8192; send fewer rows or request fewer classes"
    assert (answer.status, answer.error) == (400, f"output 'y': {problem}")


@pytest.mark.parametrize("where", ["request", "input"])
def test_only_an_output_has_classes(client: Client, where: str) -> None:
    parameters = {"parameters": {"classification": 1}}
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    document = {"inputs": [tensor], **parameters} if where == "request" else {"inputs": [{**tensor, **parameters}]}

    answer = client.post("/v2/models/identity-fp32/infer", document)

    assert (answer.status, answer.error) == (400, "parameter 'classification': only an entry of 'outputs' may have it")

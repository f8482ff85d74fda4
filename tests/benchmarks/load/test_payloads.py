import json
from typing import Any

import numpy as np
import pytest

from snooze.benchmarks.errors import InvalidData
from snooze.benchmarks.load.payloads import batches, encode
from snooze.bundle import Tensor

FEATURES = Tensor("features", "FP32", (-1, 2))
NAMES = Tensor("names", "BYTES", (-1,))
INPUTS = {"features": np.array([[0.1, 2], [3, 4]], np.float32), "names": np.array(["é", b"bc"], object)}


def test_json_carries_every_input_with_the_shortest_digits() -> None:
    payload = encode(INPUTS, [FEATURES, NAMES], "v2", False, "rows")

    assert payload.headers == {"Content-Type": "application/json"}
    assert json.loads(payload.body) == {
        "inputs": [
            {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [0.1, 2, 3, 4]},
            {"name": "names", "shape": [2], "datatype": "BYTES", "data": ["é", "bc"]},
        ]
    }


def test_binary_tensors_follow_a_header_whose_length_is_told() -> None:
    payload = encode(INPUTS, [FEATURES, NAMES], "v2", True, "rows")
    length = int(payload.headers["Inference-Header-Content-Length"])
    header, raw = json.loads(payload.body[:length]), payload.body[length:]

    assert payload.headers["Content-Type"] == "application/octet-stream"
    assert [one["parameters"]["binary_data_size"] for one in header["inputs"]] == [16, 12]
    assert header["parameters"] == {"binary_data_output": True}
    assert raw[:16] == INPUTS["features"].tobytes()
    assert raw[16:] == b"\x02\x00\x00\x00" + "é".encode() + b"\x02\x00\x00\x00bc"


def test_plain_rows_are_a_list() -> None:
    payload = encode(INPUTS, [FEATURES], "predict", False, "rows")

    assert json.loads(payload.body) == [[0.1, 2], [3, 4]]


@pytest.mark.parametrize("datatype", ["INT64", "BOOL", "FP64", "FP16"])
def test_json_keeps_the_values_of_every_datatype(datatype: str) -> None:
    dtype: Any = {"INT64": np.int64, "BOOL": np.bool_, "FP64": np.float64, "FP16": np.float16}[datatype]
    array = np.array([0, 1], dtype)

    payload = encode({"x": array}, [Tensor("x", datatype, (-1,))], "v2", False, "rows")

    assert json.loads(payload.body)["inputs"][0]["data"] == [0, 1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_cannot_carry_what_is_not_finite_but_binary_can(value: float) -> None:
    inputs = {"features": np.array([[1, value]], np.float32)}

    with pytest.raises(InvalidData) as caught:
        encode(inputs, [FEATURES], "v2", False, "rows.csv")

    assert str(caught.value) == "rows.csv: NaN and infinity cannot be written in JSON; use --binary or other rows"
    assert encode(inputs, [FEATURES], "v2", True, "rows.csv").body.endswith(inputs["features"].tobytes())


def test_plain_rows_cannot_carry_two_inputs() -> None:
    with pytest.raises(InvalidData) as caught:
        encode(INPUTS, [FEATURES, NAMES], "predict", False, "rows")

    assert str(caught.value) == "--protocol predict: carries one input, the model has 2; use v2"


@pytest.mark.parametrize(
    ("available", "rows", "expected"),
    [
        (5, 2, [[0, 1], [2, 3]]),
        (2, 3, [[0, 1, 0]]),
        (1, 1, [[0]]),
    ],
)
def test_rows_are_cut_into_requests(available: int, rows: int, expected: list[list[int]]) -> None:
    cut = batches({"x": np.arange(available)}, [Tensor("x", "INT64", (-1,))], rows, "rows")

    assert [one["x"].tolist() for one in cut] == expected


def test_no_more_requests_are_made_than_a_load_needs_to_be_varied() -> None:
    assert len(batches({"x": np.arange(1000)}, [Tensor("x", "INT64", (-1,))], 1, "rows")) == 64


def test_a_model_of_fixed_rows_gets_them_all() -> None:
    cut = batches({"x": np.arange(9)}, [Tensor("x", "INT64", (4,))], 1, "rows")

    assert [one["x"].tolist() for one in cut] == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("available", "rows", "message"),
    [
        (9, 2, "--rows: the model takes exactly 4 rows at once, got 2"),
        (3, 1, "rows.csv: the model takes exactly 4 rows at once, got 3"),
    ],
)
def test_a_model_of_fixed_rows_takes_no_other_number(available: int, rows: int, message: str) -> None:
    with pytest.raises(InvalidData) as caught:
        batches({"x": np.arange(available)}, [Tensor("x", "INT64", (4,))], rows, "rows.csv")

    assert str(caught.value) == message

import json
import math
from typing import Any

import numpy as np
import pytest
from tests.client.conftest import Serve

from snooze.bundle.contract import Tensor
from snooze.client import v2
from snooze.client.errors import RequestFailed
from snooze.client.exchange import Payload
from snooze.client.predict import predict, predict_raw

INPUTS = (Tensor("x", "FP32", (-1, 2)),)
ROWS = {"x": np.array([[1, 2]], np.float32)}
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1], "data": [3.0]}


def test_a_snooze_server_answers_with_labels(serve: Serve) -> None:
    plain = {"model": "m", "version": 2, "predictions": [{"label": "a"}]}
    url = serve({"/v2": {"name": "snooze"}, "/models/m/predict": plain, "/models/m/versions/2/predict": plain})

    assert predict(v2.find_model(url, "m"), ROWS, INPUTS, "--row") == plain
    assert predict(v2.find_model(url, "m", "2"), ROWS, INPUTS, "--row") == plain


@pytest.mark.parametrize("server", [{"/v2": {"name": "other"}}, {}])
def test_any_other_server_answers_by_the_protocol(serve: Serve, server: dict[str, Any]) -> None:
    url = serve(server | {"/v2/models/m/infer": {"model_name": "m", "model_version": "1", "outputs": [OUTPUT]}})

    assert predict(v2.find_model(url, "m"), ROWS, INPUTS, "--row") == {
        "model_name": "m",
        "model_version": "1",
        "outputs": [OUTPUT],
    }


def test_rows_with_nan_are_sent_as_binary_tensors(serve: Serve) -> None:
    header = json.dumps({"outputs": [OUTPUT | {"data": None}]}).replace(', "data": null', "").encode()
    header = header.replace(b"[1]}", b'[1], "parameters": {"binary_data_size": 4}}')
    body = header + np.float32(math.inf).tobytes()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    url = serve({"/v2": {"name": "snooze"}, "/v2/models/m/infer": (200, headers, body)})

    answer = predict(v2.find_model(url, "m"), {"x": np.array([[1, math.nan]], np.float32)}, INPUTS, "--row")

    assert answer["outputs"] == [OUTPUT | {"data": [math.inf]}]


def test_the_error_of_the_server_is_raised(serve: Serve) -> None:
    url = serve({"/v2/models/m/infer": (400, {}, b'{"error": "too many rows"}')})

    with pytest.raises(RequestFailed) as caught:
        predict(v2.find_model(url, "m"), ROWS, INPUTS, "--row")

    assert (caught.value.status, caught.value.message) == (400, "too many rows")


def test_the_answers_to_several_requests_are_one(serve: Serve) -> None:
    plain = {"model": "m", "version": 2, "predictions": [{"label": "a"}]}
    url = serve({"/models/m/predict": plain})
    request = Payload(b"picture", {"Content-Type": "image/png"})

    answer = predict_raw(v2.find_model(url, "m"), [request, request])

    assert answer == plain | {"predictions": [{"label": "a"}, {"label": "a"}]}

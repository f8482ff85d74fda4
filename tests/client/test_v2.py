import json
import math
from typing import Any

import numpy as np
import pytest
from tests.client.conftest import Serve

from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData
from snooze.client import v2
from snooze.client.errors import RequestFailed, UnexpectedAnswer, UnknownModel
from snooze.client.exchange import Address, Answer

FEATURES = Tensor("features", "FP32", (-1, 2))
NAMES = Tensor("names", "BYTES", (-1,))
ARRAYS = {"features": np.array([[0.1, 2], [3, 4]], np.float32), "names": np.array(["é", b"bc"], object)}


@pytest.mark.parametrize(
    ("path", "name", "version", "expected"),
    [
        ("/v2/models/tumour", None, None, ("tumour", None)),
        ("/v2/models/tumour/infer", None, None, ("tumour", None)),
        ("/v2/models/a%20b/versions/2/infer", None, None, ("a b", "2")),
        ("/", "tumour", "3", ("tumour", "3")),
    ],
)
def test_takes_the_model_from_its_url_or_by_name(
    path: str, name: str | None, version: str | None, expected: tuple[str, str | None]
) -> None:
    model = v2.find_model(f"http://host:1/prefix{path}", name, version)

    assert model == v2.ServedModel(Address("host", 1, False, "/prefix"), *expected)


def test_finds_the_only_model_of_a_server(serve: Serve) -> None:
    url = serve({"/v2/repository/index": [{"name": "tumour", "version": "1"}, {"name": "tumour", "version": "2"}]})

    assert v2.find_model(url).name == "tumour"


@pytest.mark.parametrize(
    ("index", "known"),
    [([{"name": "b"}, {"name": "a"}], ("a", "b")), ([], ()), (b"<html>", ()), ({"a": 1}, ()), ((404, {}, b""), ())],
)
def test_names_the_models_where_there_is_not_exactly_one(serve: Serve, index: Any, known: tuple[str, ...]) -> None:
    url = serve({"/v2/repository/index": index})

    with pytest.raises(UnknownModel) as caught:
        v2.find_model(url)

    assert (caught.value.model, caught.value.known) == (None, known)


def test_reads_the_inputs_of_a_model(serve: Serve) -> None:
    inputs = [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}]
    url = serve({"/v2/models/a%2Fb/versions/7": {"name": "a/b", "inputs": inputs}})

    assert v2.read_inputs(v2.find_model(url, "a/b", "7")) == (FEATURES,)


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "other"},
        {"inputs": []},
        {"inputs": [1]},
        {"inputs": [{"name": "x", "datatype": "FP32"}]},
        {"inputs": [{"name": "x", "datatype": "BF16", "shape": [-1]}]},
    ],
)
def test_metadata_must_describe_the_inputs(serve: Serve, metadata: Any) -> None:
    url = serve({"/v2/models/m": metadata})

    with pytest.raises(UnexpectedAnswer) as caught:
        v2.read_inputs(v2.find_model(url, "m"))

    assert caught.value.url == f"{url}/v2/models/m"


def test_an_unknown_model_is_reported_with_those_there_are(serve: Serve) -> None:
    url = serve({"/v2/repository/index": [{"name": "a"}, {"name": "b"}]})

    with pytest.raises(UnknownModel) as caught:
        v2.read_inputs(v2.find_model(url, "m"))

    assert str(caught.value) == f"{url} has no model 'm'; available: a, b; choose one with --model"


def test_an_unknown_version_is_reported_as_the_server_does(serve: Serve) -> None:
    url = serve({"/v2/repository/index": [{"name": "m"}]})

    with pytest.raises(RequestFailed) as caught:
        v2.read_inputs(v2.find_model(url, "m", "9"))

    assert (caught.value.status, caught.value.message) == (404, "nothing here")


def test_json_has_every_input_with_the_shortest_digits() -> None:
    payload = v2.encode(ARRAYS, [FEATURES, NAMES], "rows")

    assert payload.headers == {"Content-Type": "application/json"}
    assert json.loads(payload.body) == {
        "inputs": [
            {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [0.1, 2, 3, 4]},
            {"name": "names", "shape": [2], "datatype": "BYTES", "data": ["é", "bc"]},
        ]
    }


def test_binary_tensors_follow_the_header_and_its_length() -> None:
    payload = v2.encode(ARRAYS, [FEATURES, NAMES], "rows", binary=True)
    length = int(payload.headers["Inference-Header-Content-Length"])
    header, raw = json.loads(payload.body[:length]), payload.body[length:]

    assert payload.headers["Content-Type"] == "application/octet-stream"
    assert [one["parameters"]["binary_data_size"] for one in header["inputs"]] == [16, 12]
    assert header["parameters"] == {"binary_data_output": True}
    assert raw[:16] == ARRAYS["features"].tobytes()
    assert raw[16:] == b"\x02\x00\x00\x00" + "é".encode() + b"\x02\x00\x00\x00bc"


def test_plain_rows_are_lists_for_one_input_and_objects_for_several() -> None:
    one = v2.encode_rows(ARRAYS, [FEATURES], "rows")
    several = v2.encode_rows(ARRAYS, [FEATURES, NAMES], "rows")

    assert json.loads(one.body) == {"rows": [[0.1, 2], [3, 4]]}
    assert json.loads(several.body) == {
        "rows": [{"features": [0.1, 2], "names": "é"}, {"features": [3, 4], "names": "bc"}]
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_cannot_carry_nan_and_infinity_but_binary_can(value: float) -> None:
    arrays = {"features": np.array([[1, value]], np.float32)}

    with pytest.raises(InvalidData) as caught:
        v2.encode(arrays, [FEATURES], "rows.csv")

    assert caught.value.what == "rows.csv"
    assert v2.encode(arrays, [FEATURES], "rows.csv", binary=True).body.endswith(arrays["features"].tobytes())


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_an_answer_of_any_datatype_is_decoded(datatype: Datatype, binary: bool) -> None:
    values: list = ["é", "b", ""] if datatype == "BYTES" else [1, 0, 1]
    array = np.array(values, DATATYPES[datatype]).reshape(3, 1)
    asked = v2.encode({"x": array}, [Tensor("x", datatype, (-1, 1))], "rows", binary)
    headers = {name.lower(): value for name, value in asked.headers.items()}

    outputs = v2.decode(
        Answer(
            "url",
            200,
            headers,
            asked.body.replace(b'"inputs"', b'"outputs"', 1) if not binary else _as_outputs(asked.body, headers),
        )
    )

    assert outputs["x"].dtype == array.dtype
    np.testing.assert_array_equal(outputs["x"], array)


def _as_outputs(body: bytes, headers: dict[str, str]) -> bytes:
    """Return a binary request as an answer with the same tensors."""
    length = int(headers["inference-header-content-length"])
    header = body[:length].replace(b'"inputs"', b'"outputs"', 1)
    headers["inference-header-content-length"] = str(len(header))
    return header + body[length:]


@pytest.mark.parametrize(
    "outputs",
    [
        1,
        [1],
        [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}],
        [{"name": "x", "datatype": "BF16", "shape": [1], "data": [1]}],
        [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}],
    ],
)
def test_an_answer_must_contain_the_outputs(outputs: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        v2.decode(Answer("url", 200, {}, json.dumps({"outputs": outputs}).encode()))

import gzip
import json

import pytest
from tests.knative.bundles import a_bundle

from snooze.benchmarks.robustness.bodies import JSON_VALUES, ZEROS, binary_request, json_body, post
from snooze.bundle.contract import Bundle, Tensor

SIZE = 100_000
INPUTS = (Tensor("age", "INT64", (-1,)), Tensor("pixels", "FP32", (-1, 2, -1)), Tensor("note", "BYTES", (-1,)))


@pytest.fixture
def bundle() -> Bundle:
    return a_bundle()._replace(name="person", inputs=INPUTS)


@pytest.mark.parametrize("values", [JSON_VALUES, ZEROS])
def test_json_is_valid_and_nearly_as_large_as_asked(bundle: Bundle, values: dict[str, bytes]) -> None:
    body = json_body(bundle, SIZE, values)

    assert SIZE * 0.9 < len(body) <= SIZE
    age, pixels, note = json.loads(body)["inputs"]
    rows = age["shape"][0]
    assert (age["shape"], pixels["shape"], note["shape"]) == ([rows], [rows, 2, 1], [rows])
    assert (len(age["data"]), len(pixels["data"]), len(note["data"])) == (rows, 2 * rows, rows)
    assert set(note["data"]) == {json.loads(values["O"])}


@pytest.mark.parametrize("compressed", [False, True])
def test_binary_tensors_follow_the_json(bundle: Bundle, compressed: bool) -> None:
    head, _, body = binary_request(bundle, SIZE, b"ab", compressed).partition(b"\r\n\r\n")
    lines = dict(line.split(b": ") for line in head.split(b"\r\n")[1:])
    assert int(lines[b"Content-Length"]) == len(body)
    if compressed:
        assert len(body) < SIZE / 100
        body = gzip.decompress(body)

    header = int(lines[b"Inference-Header-Content-Length"])
    inputs = json.loads(body[:header])["inputs"]
    assert SIZE * 0.9 < len(body) <= SIZE
    assert sum(one["parameters"]["binary_data_size"] for one in inputs) == len(body) - header
    assert body.endswith(b"\x02\0\0\0ab")


def test_a_request_may_announce_more_than_it_has(bundle: Bundle) -> None:
    sent = post(bundle, b"half", b"X: y", length=9)

    assert sent == b"POST /v2/models/person/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX: y\r\n\r\nhalf"

"""What the document says of V1 is what its codec takes and gives."""

from typing import Any

import pytest
from tests.service.openapi.signatures import ANSWERS, INPUTS, VALUES, accepts, answer, fits, signature

from snooze.bundle.contract import Tensor
from snooze.service.openapi.v1 import example, request, response

v1: Any = pytest.importorskip("snooze.service.protocols.v1")


@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize("inputs", INPUTS, ids=str)
def test_the_request_is_what_the_codec_takes(inputs: tuple[Tensor, ...], key: str) -> None:
    one = signature(inputs)
    for value in [*VALUES, [{"b64": "YQ=="}], {"b64": "YQ=="}, {"x": [{"b64": "YQ=="}]}]:
        document = {key: value}
        assert fits(request(one), document) == accepts(v1, one, document), value
    drawn = example(one)
    assert fits(request(one), drawn)
    assert accepts(v1, one, drawn)


def test_a_request_is_by_row_or_by_column() -> None:
    for document in ({}, {"instances": [1], "inputs": [1]}, {"instances": [1], "signature_name": "other"}):
        assert not fits(request(signature()), document)
        assert not accepts(v1, signature(), document)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(("outputs", "labels", "probabilities", "arrays"), ANSWERS)
def test_the_response_is_what_the_codec_gives(
    outputs: Any, labels: Any, probabilities: bool, arrays: Any, columns: bool
) -> None:
    one = signature(outputs=outputs, labels=labels, probabilities=probabilities)
    document = answer(v1, one, arrays, columns=columns)
    (key,) = document

    assert key == ("outputs" if columns else "predictions")
    assert fits(response(one), document)
    assert not fits(response(one), {key: [None]})
    assert not fits(response(one), {})

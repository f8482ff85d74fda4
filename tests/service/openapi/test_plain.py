"""What the document says of the plain protocol is what its codec takes and gives."""

from typing import Any

import pytest
from tests.service.openapi.signatures import ANSWERS, INPUTS, VALUES, accepts, answer, fits, signature

from snooze.bundle.contract import Tensor
from snooze.service.openapi.plain import MAX_LABELS, example, request, response
from snooze.service.protocols import plain


@pytest.mark.parametrize("inputs", INPUTS, ids=str)
def test_the_request_is_what_the_codec_takes(inputs: tuple[Tensor, ...]) -> None:
    one = signature(inputs)
    for value in VALUES:
        document = {"rows": value}
        assert fits(request(one), document) == accepts(plain, one, document), value
    drawn = example(one)
    assert fits(request(one), drawn)
    assert accepts(plain, one, drawn)


@pytest.mark.parametrize(("outputs", "labels", "probabilities", "arrays"), ANSWERS)
def test_the_response_is_what_the_codec_gives(outputs: Any, labels: Any, probabilities: bool, arrays: Any) -> None:
    one = signature(outputs=outputs, labels=labels, probabilities=probabilities)
    document = answer(plain, one, arrays)

    assert fits(response(one), document)
    for key in document["predictions"][0]:
        assert key in response(one)["properties"]["predictions"]["items"]["properties"]
        wrong = {**document["predictions"][0], key: {"neither": None}}
        assert not fits(response(one), {**document, "predictions": [wrong]}) or key == "z"  # z may be without rows


def test_the_names_of_few_classes_are_listed() -> None:
    outputs = [Tensor("y", "INT64", (-1,), "label")]
    for number, expected in ((MAX_LABELS, False), (MAX_LABELS + 1, True)):
        one = signature(outputs=outputs, labels=tuple(f"class {i}" for i in range(number)))
        document = {"model": "m", "version": 3, "predictions": [{"label": "another"}]}
        assert fits(response(one), document) == expected


def test_a_model_of_large_rows_has_no_example() -> None:
    assert example(signature([Tensor("x", "FP32", (-1, 224, 224, 3))])) is None

"""What the document says of V2 is what its codec takes and gives."""

from typing import Any

import pytest
from tests.service.openapi.signatures import ANSWERS, INPUTS, VALUES, accepts, answer, fits, signature

from snooze.bundle.contract import Tensor
from snooze.service.openapi.v2 import example, request, response
from snooze.service.protocols import v2

X = {"name": "x", "datatype": "INT64", "shape": [1], "data": [1]}
Y = {"name": "y", "datatype": "INT64", "shape": [1, 2], "data": [[1, 2]]}
TWO = signature([Tensor("x", "INT64", (-1,)), Tensor("y", "INT64", (-1, 2))])


@pytest.mark.parametrize("inputs", INPUTS[:-1], ids=str)
@pytest.mark.parametrize("shape", [[1], [2], [1, 1], [2, 1], [1, 2], [2, 2], [1, 1, 2]], ids=str)
def test_what_the_codec_takes_fits(inputs: tuple[Tensor, ...], shape: list[int]) -> None:
    one = signature(inputs)
    for value in VALUES:
        document = {"inputs": [{"name": "x", "datatype": inputs[0].datatype, "shape": shape, "data": value}]}
        assert fits(request(one), document) or not accepts(v2, one, document), value
    drawn = example(one)
    assert fits(request(one), drawn)
    assert accepts(v2, one, drawn)


@pytest.mark.parametrize(
    ("inputs", "valid"),
    [
        ([X, Y], True),
        ([Y, X], True),
        ([X], False),
        ([X, X], False),
        ([X, Y, Y], False),
        ([X, {**Y, "name": "z"}], False),
        ([X, {**Y, "datatype": "INT32"}], False),
        ([X, {**Y, "shape": [1, 3]}], False),
        ([X, {**Y, "shape": [2]}], False),
        ([X, {**Y, "shape": [-1, 2]}], False),
        ([X, {**Y, "data": [[1, "2"]]}], False),
        ([X, {**Y, "data": [[1, 2**63]]}], False),
    ],
)
def test_each_input_is_there_once_in_any_order(inputs: list[Any], valid: bool) -> None:
    assert fits(request(TWO), {"inputs": inputs}) == valid
    assert accepts(v2, TWO, {"inputs": inputs}) == valid


@pytest.mark.parametrize(
    ("more", "valid"),
    [
        ({"id": None, "parameters": None, "outputs": None}, True),
        ({"id": "a" * 1024, "model_name": "m"}, True),
        ({"id": "a" * 1025}, False),
        ({"parameters": {"timeout": 5, "binary_data_output": False, "content_type": "np"}}, True),
        ({"parameters": {"timeout": -1}}, False),
        ({"parameters": {"timeout": "5"}}, False),
        ({"parameters": {"binary_data_output": 1}}, False),
        ({"parameters": []}, False),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}, True),
        ({"outputs": []}, True),
        ({"outputs": {}}, False),
        ({"outputs": [{"name": "x"}]}, False),
        ({"outputs": [{}]}, False),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, False),
    ],
)
def test_the_rest_of_a_request(more: dict[str, Any], valid: bool) -> None:
    document = {"inputs": [X], **more}

    assert fits(request(signature()), document) == valid
    assert accepts(v2, signature(), document) == valid


def test_double_precision_may_be_sent_as_single() -> None:
    one = signature([Tensor("x", "FP64", (-1,))])
    for datatype, valid in (("FP64", True), ("FP32", True), ("FP16", False)):
        document = {"inputs": [{**X, "datatype": datatype}]}
        assert fits(request(one), document) == valid
        assert accepts(v2, one, document) == valid


@pytest.mark.parametrize(("outputs", "labels", "probabilities", "arrays"), ANSWERS)
def test_the_response_is_what_the_codec_gives(outputs: Any, labels: Any, probabilities: bool, arrays: Any) -> None:
    one = signature(outputs=outputs, labels=labels, probabilities=probabilities)
    document = answer(v2, one, arrays)

    assert fits(response(one), document)
    for key in ("name", "datatype", "shape", "data"):
        wrong = {**document["outputs"][0], key: None}
        assert not fits(response(one), {**document, "outputs": [wrong]})


def test_the_highest_values_of_an_output_are_texts() -> None:
    pytest.importorskip("snooze.service.protocols.classification")
    one = signature(outputs=[Tensor("y", "FP32", (-1, 2), "scores"), Tensor("z", "BOOL", (-1,))])
    document = {"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 1}}]}
    assert fits(request(one), document)
    assert accepts(v2, one, document)

    got = answer(v2, one, [[[0.2, 0.8], [0.5, 0.5]], [True, False]], classes=[1, 0])

    assert got["outputs"][0]["datatype"] == "BYTES"
    assert fits(response(one), got)

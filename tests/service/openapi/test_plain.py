"""What the document says of the plain protocol is what its codec takes and gives."""

from typing import Any

import pytest
from tests.service.conftest import publish_each_adapter
from tests.service.openapi.signatures import ANSWERS, INPUTS, VALUES, accepts, answer, fits, signature

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidRow
from snooze.service import Settings, create_app
from snooze.service.openapi.plain import MAX_LABELS, example, other_requests, request, response
from snooze.service.protocols import plain
from snooze.service.protocols.forms.media import PICTURES
from snooze.service.protocols.tensors import Signature


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


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Signature]:
    """The signatures of models with an adapter, by their names."""
    root = tmp_path_factory.mktemp("models")
    publish_each_adapter(root)
    entries = create_app(Settings(models=(root,), log="off")).repository.entries
    return {entry.name: entry.model.signature() for entry in entries if entry.model is not None}


RAW_ROWS: list[Any] = [
    ["SmE="],
    [["SmE="]],
    [5],
    [None],
    [],
    [{"b64": "SmE="}],
    [{"b64": "SmE=", "x": 1}],
    [{"text": "Ja"}],
    [{"x": "Ja"}],
    [{"image": {"b64": "SmE="}}],
    [{"image": "SmE="}],
    [{"image": "SmE=", "pixels": 1}],
    [[[[0.5] * 3] * 8] * 8],
    [{"pixels": [[[0.5] * 3] * 8] * 8}],
]
TABLE_ROWS: list[Any] = [
    [[1, 2, "good"]],
    [[1, None, "good"]],
    [[None, 2, "good"]],
    [[1, 2]],
    [[1, 2, "fine"]],
    [{"age": 1, "weight": 2, "note": "good"}],
    [{"age": 1, "note": "good"}],
    [{"age": 1, "weight": None, "note": "good"}],
    [{"age": "1", "weight": 2, "note": "good"}],
    [{"age": 1, "weight": 2}],
    [{"age": 1, "weight": 2, "note": 3}],
    [5],
    [],
]


@pytest.mark.parametrize("name", ["colours", "clean", "words"])
@pytest.mark.parametrize("rows", RAW_ROWS, ids=lambda rows: repr(rows)[:40])
def test_raw_rows_are_what_the_codec_takes(adapted: dict[str, Signature], name: str, rows: Any) -> None:
    one = adapted[name]
    for document in ({"rows": rows}, {"texts": rows}):
        assert fits(request(one), document) == accepts(plain, one, document), document


@pytest.mark.parametrize("rows", TABLE_ROWS, ids=repr)
def test_rows_of_a_table_are_what_the_adapter_takes(adapted: dict[str, Signature], rows: Any) -> None:
    adapter = adapted["patient"].adapter
    assert adapter is not None
    try:
        taken = bool(adapter.apply(rows)) if rows else False
    except InvalidRow:
        taken = False

    assert fits(request(adapted["patient"]), {"rows": rows}) == taken


@pytest.mark.parametrize("name", ["colours", "clean", "words", "patient"])
def test_the_examples_of_raw_rows_are_taken(adapted: dict[str, Signature], name: str) -> None:
    one = adapted[name]
    drawn = example(one)
    assert fits(request(one), drawn)
    assert accepts(plain, one, drawn)
    for media, content in other_requests(one).items():
        if "example" in content:
            call = plain.decode(one, {b"content-type": media.encode()}, content["example"].encode())
            assert one.adapter is not None
            assert one.adapter.apply(call.raw)


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("colours", {*PICTURES, "multipart/form-data"}),
        ("clean", {"text/plain", "multipart/form-data"}),
        ("patient", {"text/csv", "multipart/form-data"}),
    ],
)
def test_every_form_of_a_model_is_described(adapted: dict[str, Signature], name: str, media: set[str]) -> None:
    assert set(other_requests(adapted[name])) == media


def test_a_matrix_has_an_example_of_csv_without_a_header() -> None:
    one = signature([Tensor("x", "FP32", (-1, 3))])
    text = other_requests(one)["text/csv"]["example"]

    assert plain.decode(one, {b"content-type": b"text/csv"}, text.encode()).feeds["x"].shape == (1, 3)
    assert other_requests(signature([Tensor("x", "FP32", (-1, 3, 3))])) == {}


def test_values_may_have_names() -> None:
    one = signature(outputs=[Tensor("y", "FP32", (-1, 2), "value")], labels=("height", "width"))
    document = answer(plain, one, [[[0.5, 1], [2, 3]]])

    assert document["predictions"][0]["values"] == {"height": 0.5, "width": 1}
    assert fits(response(one), document)
    document["predictions"][0]["values"] = {"height": 0.5}
    assert not fits(response(one), document)

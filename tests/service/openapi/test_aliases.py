"""What the document says of aliases is what they take and give."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.service.aliases.conftest import CLASSIFY, TOPICS, publish_models, write_aliases
from tests.service.conftest import Client, publish_each_adapter
from tests.service.openapi.signatures import signature

from snooze.bundle.contract import Tensor
from snooze.service import Settings, create_app
from snooze.service.aliases.codec import AliasCodec
from snooze.service.aliases.reading import Alias
from snooze.service.openapi.aliases import AliasBodies

EACH = {"$each": {"in": "input", "class": "label", "p": "probabilities", "n": {"$output": "label"}}}
ALIASES = {
    "predict_topic": TOPICS,
    "class": {"model": "tumour", "input": "x", "answer": {"class": "label", "p": ["confidence", {"$const": None}]}},
    "each": {"model": "tumour", "answer": {"ok": {"$const": True}, "found": EACH, "by": ["model", "version"]}},
    "person": {"model": "person", "input": "who", "answer": [{"$each": "value"}, "said"]},
    "sum": {"model": "sum", "input": "x", "answer": "value"},
    "classify": CLASSIFY,
    "patient": {"model": "patient", "answer": {"in": "input", "total": "value"}},
    "clean": {"model": "clean", "input": "text", "answer": {"$each": ["input", "y"]}},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Serves these aliases."""
    root = publish_models(tmp_path_factory.mktemp("models"))
    publish_each_adapter(root)
    write_aliases(root, **ALIASES)
    return Client(create_app(Settings(models=(root,), log="off")))


def operation(client: Client, path: str) -> tuple[Any, Any, Any]:
    """Return the document, and the contents of the request and of the answer of an alias."""
    document = client.ask("GET", "/openapi.json").json()
    one = document["paths"][path]["post"]
    found = []
    for reference in (one["requestBody"]["$ref"], one["responses"]["200"]["$ref"]):
        _, _, kind, name = reference.split("/")
        found.append(document["components"][kind][name]["content"])
    return document, *found


@pytest.mark.parametrize("path", [f"/{name}" for name in ALIASES])
def test_examples_fit_and_work(client: Client, path: str) -> None:
    document, request, response = operation(client, path)
    reference = request["application/json"]["examples"]["drawn"]["$ref"].rpartition("/")[2]
    asked = document["components"]["examples"][reference]["value"]
    shown = response["application/json"]["examples"]["drawn"]["value"]

    def fits(content: Any, value: Any) -> bool:
        schema = {"components": document["components"], **content["application/json"]["schema"]}
        return bool(Draft202012Validator(schema).is_valid(value))

    (field,) = asked
    assert fits(request, asked)
    assert fits(request, {field: asked[field][0], "more": 1})
    assert not fits(request, {})
    assert not fits(request, {field: None})
    for body in (asked, {field: asked[field][0]}):
        answer = client.post(path, body)
        assert answer.status == 200, answer.error
        assert fits(response, answer.json())
        assert not fits(response, {"wrong": answer.json()})
    assert fits(response, shown)
    assert type(shown) is type(client.post(path, asked).json())


def test_says_which_forms_a_model_takes(client: Client) -> None:
    forms = {path: {*operation(client, path)[1]} for path in ("/predict_topic", "/classify", "/sum", "/person")}

    assert forms["/predict_topic"] == {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}
    assert forms["/classify"] == forms["/sum"] == {"application/json", "multipart/form-data"}
    assert forms["/person"] == {"application/json"}


def test_a_model_of_large_rows_has_no_examples() -> None:
    one = signature([Tensor("x", "FP32", (-1, 224, 224, 3))])
    alias = Alias(None, "/a", "m", None, "x", "y")  # type: ignore[arg-type]
    bodies = AliasBodies(alias, AliasCodec(alias, one))

    assert bodies.example(one) is bodies.answer(one) is None


def test_names_of_operations_and_components_are_their_own(client: Client) -> None:
    document, _, _ = operation(client, "/sum")
    names = [one["operationId"] for item in document["paths"].values() for one in item.values()]

    assert len(set(names)) == len(names)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)

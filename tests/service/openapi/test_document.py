"""The document covers the routing table, describes the answers, and its examples work."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.service.conftest import Answer, Client, Graph, identity, publish, regressor, two_inputs

from snooze.service import Settings, create_app
from snooze.service.app import CODECS
from snooze.service.app import ROUTES as ALL_ROUTES
from snooze.service.openapi.document import ERRORS
from snooze.service.responses import STATUS

Schema = dict[str, Any]
ROUTES = [route for route in ALL_ROUTES if route.handler not in ("load", "unload")]  # these must be allowed


@pytest.fixture(scope="module")
def document(client: Client) -> Schema:
    """The document of every model of the repository."""
    answer = client.ask("GET", "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return dict(answer.json())


def serve(root: Path, **graphs: Graph) -> Client:
    for name, graph in graphs.items():
        publish(root, name, graph)
    return Client(create_app(Settings(models=(root,), log="off")))


def operations(document: Schema) -> list[tuple[str, str, Schema]]:
    return [(method, path, one) for path, item in document["paths"].items() for method, one in item.items()]


def resolve(document: Schema, part: Schema) -> Schema:
    """Return a part of the document, or what it refers to."""
    for key in part.get("$ref", "").split("/")[1:]:
        document = document[key]
    return document if "$ref" in part else part


def check(document: Schema, schema: Schema, value: Any) -> None:
    Draft202012Validator({"components": document["components"], **schema}).validate(value)


def check_answer(document: Schema, operation: Schema, answer: Answer) -> None:
    """Check an answer against what the document says of its status, type and headers."""
    response = resolve(document, operation["responses"][str(answer.status)])
    content = response["content"][answer.headers["content-type"].partition(";")[0]]
    if "json" in answer.headers["content-type"]:
        check(document, content["schema"], answer.json())
    for name, header in response.get("headers", {}).items():
        assert name.lower() in answer.headers or not resolve(document, header).get("required")


def test_each_route_has_an_operation_and_each_operation_a_route(document: Schema) -> None:
    described = {(method, path) for method, path, _ in operations(document)}
    patterns = {
        (route.method.lower(), re.compile(re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(route.path)))) for route in ROUTES
    }

    for method, path in described:
        assert any(one == method and pattern.fullmatch(path) for one, pattern in patterns), path
    for one, pattern in patterns:
        assert any(method == one and pattern.fullmatch(path) for method, path in described), pattern


def test_operations_have_names_of_their_own(document: Schema) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(set(names)) == len(names)


def test_every_status_of_an_error_is_described() -> None:
    assert set(STATUS.values()) - {405} <= set(ERRORS)  # 405 answers what is not an operation


def test_every_schema_is_a_schema(document: Schema) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.method == "GET"])
def test_pages_answer_as_described(client: Client, document: Schema, path: str) -> None:
    for version in ("1", "9"):
        answer = client.ask("GET", path.format(model="tumour", version=version, file="style.css"))

        assert answer.status == 200 or version == "9" or path.endswith("/report")  # which is off
        check_answer(document, document["paths"][path]["get"], answer)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready":true}', b'{"ready":1}'])
def test_pages_with_a_body_answer_as_described(client: Client, document: Schema, body: bytes) -> None:
    for route in ROUTES:
        if route.method == "POST" and route.handler != "predict":
            answer = client.ask("POST", route.path.format(model="sum", version="1", verb="explain"), body)
            check_answer(document, document["paths"][route.path]["post"], answer)


def test_examples_fit_and_work(client: Client, document: Schema) -> None:
    examples = 0
    for _, path, operation in operations(document):
        body = resolve(document, operation.get("requestBody", {})).get("content", {}).get("application/json", {})
        for example in body.get("examples", {}).values():
            value = resolve(document, example)["value"]
            check(document, body["schema"], value)
            answer = client.post(path, value)
            assert answer.status == 200, (path, answer.body)
            check_answer(document, operation, answer)
            examples += 1
    repository = client.app.repository  # each version has a path, and the highest of each model another
    assert examples == len(CODECS) * (len(repository.versions) + len(repository.entries))


def test_the_only_model_is_also_behind_predict(tmp_path: Path) -> None:
    client = serve(tmp_path, sum=regressor())
    document = client.ask("GET", "/openapi.json").json()
    operation = document["paths"]["/predict"]["post"]

    assert operation["requestBody"] == document["paths"]["/models/sum/predict"]["post"]["requestBody"]
    check_answer(document, operation, client.post("/predict", [[1, 2, 3]]))


def test_predict_of_several_models_is_described_as_404(client: Client, document: Schema) -> None:
    operation = document["paths"]["/predict"]["post"]

    assert "200" not in operation["responses"]
    check_answer(document, operation, client.post("/predict", [[1, 2, 3]]))
    assert client.ask("GET", "/predict").status == 405


def test_an_error_is_described(client: Client, document: Schema) -> None:
    operation = document["paths"]["/v2/models/sum/infer"]["post"]
    for status, body, headers in (
        (400, {"inputs": []}, {}),
        (406, {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [3e38, 3e38, 0]}]}, {}),
        (415, {}, {"content_encoding": "br"}),
        (504, {}, {"x_request_timeout": "1e-9"}),
    ):
        if status == 504:
            body = document["components"]["examples"]["sum-1-v2"]["value"]
        answer = client.post("/v2/models/sum/infer", body, **headers)
        assert answer.status == status
        check_answer(document, operation, answer)


def test_a_binary_answer_is_described(client: Client, document: Schema) -> None:
    body = document["components"]["examples"]["sum-1-v2"]["value"] | {"parameters": {"binary_data_output": True}}
    answer = client.post("/v2/models/sum/infer", body)

    assert answer.headers["content-type"] == "application/octet-stream"
    check_answer(document, document["paths"]["/v2/models/sum/infer"]["post"], answer)


def test_the_document_follows_the_models_that_are_loaded(tmp_path: Path) -> None:
    client = serve(tmp_path, sum=regressor(), flags=identity("BOOL"))
    assert "/v2/models/sum/infer" in client.ask("GET", "/openapi.json").json()["paths"]

    client.app.repository.versions["sum"][1].model = None

    paths = client.ask("GET", "/openapi.json").json()["paths"]
    assert "/v2/models/sum/infer" not in paths
    assert "/v2/models/flags/infer" in paths


@pytest.mark.skipif("allow_load" not in Settings.__annotations__, reason="needs --allow-load")
def test_loading_and_unloading_answer_as_described(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    options: dict[str, Any] = {"allow_load": True}
    client = Client(create_app(Settings(models=(tmp_path,), log="off", **options)))
    document = client.ask("GET", "/openapi.json").json()
    for handler in ("unload", "load"):
        path = f"/v2/repository/models/{{model}}/{handler}"
        for model, body in (("sum", b""), ("sum", b"[]"), ("none", b"")):
            answer = client.ask("POST", path.format(model=model), body)
            assert answer.status == (200 if (model, body) == ("sum", b"") else 400)
            check_answer(document, document["paths"][path]["post"], answer)
        described = "/v2/models/sum/infer" in client.ask("GET", "/openapi.json").json()["paths"]
        assert described == (handler == "load")


def test_the_document_is_the_same_each_time(tmp_path: Path) -> None:
    first = serve(tmp_path, person=two_inputs()).ask("GET", "/openapi.json").body

    assert Client(create_app(Settings(models=(tmp_path,), log="off"))).ask("GET", "/openapi.json").body == first


def test_golden_samples_are_not_shown(tmp_path: Path) -> None:
    graph = identity("BYTES", (-1,))
    graph.golden = {"x": graph.golden["x"] + " of a user"}

    assert b"of a user" not in serve(tmp_path, words=graph).ask("GET", "/openapi.json").body


def test_the_document_is_compressed_if_asked_for(client: Client) -> None:
    plain = client.ask("GET", "/openapi.json")
    packed = client.ask("GET", "/openapi.json", accept_encoding="gzip")

    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 5

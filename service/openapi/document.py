"""
The OpenAPI 3.1 document of one server: every route of the table, and the predictions of each loaded model.

A prediction has a path of its own for each model, because each model has types of its own; all other paths have the
parameters `{model}` and `{version}`. What a prediction takes and gives is described once for each version of a model,
in `components`, by the module of its protocol.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from snooze.service.app import CODECS
from snooze.service.endpoint import Codec
from snooze.service.messages import Route
from snooze.service.openapi import plain, v1, v2
from snooze.service.openapi.answers import draw_answer
from snooze.service.openapi.pages import NEVER, PAGES, Page
from snooze.service.openapi.schemas import COUNT, TEXT, Schema, object_of
from snooze.service.protocols.tensors import Signature
from snooze.service.requests import MAX_DIGITS, MAX_TIMEOUT
from snooze.service.runtime.repository import Entry, Repository

if TYPE_CHECKING:
    from snooze.service.aliases.reading import Alias


class Bodies(Protocol):
    """What a protocol's requests and responses look like: the modules `openapi.v2`, `v1` and `plain`, or an alias."""

    def request(self, signature: Signature) -> Schema:
        """Return the schema of a request."""

    def response(self, signature: Signature) -> Schema:
        """Return the schema of a response."""

    def other_requests(self, signature: Signature) -> dict[str, Schema]:
        """Return the content of requests in other forms than JSON, by media type."""

    def example(self, signature: Signature) -> Any:
        """Return a drawn request, or None if it would be too large."""


BODIES: Final[dict[str, Bodies]] = {"v2": v2, "v1": v1, "plain": plain}
ERRORS: Final = {
    400: "The request is not JSON, does not follow the protocol, or a tensor does not fit the signature.",
    404: "There is no such path, model or version.",
    406: "The response contains NaN or Infinity, but JSON was requested.",
    408: "The rest of the request did not come in time.",
    413: "The body is too large.",
    415: "The media type or the compression of the body is not supported.",
    429: "The server is busy.",
    431: "The head of the request is too large.",
    500: "The model failed on an input that fits its signature.",
    501: "A model does not do this.",
    503: "The server or the model is not ready.",
    504: "The time of the request is over.",
}
OF_PREDICTIONS: Final = tuple(status for status in ERRORS if status != 501)
EVERYWHERE: Final = (408, 429, 431, 503)  # what a connection answers to any request
HEADERS: Final[dict[str, Schema]] = {
    "X-Request-Id": {"description": "The client's, or a new one.", "required": True, "schema": TEXT},
    "traceparent": {"description": "The client's W3C trace context.", "schema": TEXT},
    "Retry-After": {"description": "Seconds.", "schema": COUNT},
    "Snooze-Model": {"required": True, "schema": TEXT},
    "Snooze-Version": {"required": True, "schema": {"type": "integer", "minimum": 1}},
    "Snooze-Revision": {"description": "Knative's revision, where it is known.", "schema": TEXT},
    "Server-Timing": {"description": "The cold start by phase, on the first prediction.", "schema": TEXT},
    "Inference-Header-Content-Length": {"description": "The bytes of JSON before binary tensors.", "schema": COUNT},
}
PARAMETERS: Final[dict[str, Schema]] = {
    "X-Request-Id": {"description": "Is answered, and logged with errors.", "schema": TEXT},
    "traceparent": {"description": "W3C trace context; is answered.", "schema": TEXT},
    "X-Request-Timeout": {
        "description": "Seconds that the request may take; 0 is no limit.",
        "schema": {"type": "number", "minimum": 0, "maximum": MAX_TIMEOUT},
    },
    "Inference-Header-Content-Length": {"description": "The bytes of JSON before binary tensors.", "schema": COUNT},
}
TOP: Final[Schema] = {
    "name": "top",
    "in": "query",
    "description": "Only so many of the most likely classes, the most likely first.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 10**MAX_DIGITS - 1},
}
OF_REQUEST: Final = ("X-Request-Id", "traceparent", "X-Request-Timeout")
OF_RESPONSE: Final = (
    "X-Request-Id", "traceparent", "Snooze-Model", "Snooze-Version", "Snooze-Revision", "Server-Timing",
)  # fmt: skip
BINARY: Final = "Inference-Header-Content-Length"
ONLY_ONE_MODEL: Final = "Predict with the only model; several are served, so this is 404"


def describe(
    routes: Sequence[Route],
    protocols: Mapping[str, Sequence[Route]],
    repository: Repository,
    version: str,
    aliases: "Sequence[Alias]" = (),
) -> dict[str, Any]:
    """Return the document of a server of this version; `protocols` are the routes of each protocol, by its name."""
    components: dict[str, dict[str, Any]] = {
        "schemas": {"Error": object_of({"error": TEXT})},
        "responses": {str(status): _error(status) for status in ERRORS},
        "parameters": _parameters(repository),
        "headers": HEADERS,
        "requestBodies": {},
        "examples": {},
    }
    codecs: dict[str, Codec] = {codec.PROTOCOL: codec for codec in CODECS}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.handler != "predict":
            number = sum(one.handler == route.handler for one in routes[: routes.index(route)])
            name = f"{route.handler}_{number + 1}" if number else route.handler
            paths[route.path] = {route.method.lower(): _page(PAGES[route.handler], name, route)}
    for protocol, own in protocols.items():
        bodies, binary = BODIES[protocol], protocol == "v2"
        for entry in repository.entries:
            if entry.model is None:
                continue
            reference = f"{entry.name}-{entry.version}-{protocol}"
            signature = entry.model.signature()
            _add_bodies(components, reference, bodies, signature, binary)
            _add_answer(components, reference, codecs[protocol], signature)
            for route in own:
                path = _path(route, entry, repository)
                if path is not None:
                    paths[path] = {"post": _prediction(protocol, entry, reference, "{version}" in route.path, binary)}
        for route in own:
            if route.handler == "predict" and "{" not in route.path and len(repository.versions) != 1:
                operation = {"operationId": f"{protocol}.predict", "summary": ONLY_ONE_MODEL}
                paths[route.path] = {"post": operation | {"responses": _references((404, *EVERYWHERE))}}
    if aliases:
        from snooze.service.aliases.serving import bind
        from snooze.service.openapi.aliases import AliasBodies

        for number, (alias, entry, codec) in enumerate(bind(aliases, repository), 1):
            if codec is None or entry.model is None:
                continue
            reference, signature = f"alias-{number}", entry.model.signature()
            of_alias = AliasBodies(alias, codec)
            _add_bodies(components, reference, of_alias, signature, binary=False)
            of_alias.complete(components, reference, signature)
            paths[alias.path] = {"post": _prediction(f"alias-{number}", entry, reference, False, False)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Snooze", "version": version, "description": "Predictions of ONNX models."},
        "paths": paths,
        "components": components,
    }


def _page(page: Page, name: str, route: Route) -> Schema:
    operation: Schema = {"operationId": name, "tags": ["server"], "summary": page.summary, "responses": {}}
    if page.answer is not NEVER:
        content = ({} if page.answer is None else _json(page.answer)) | {media: {"schema": TEXT} for media in page.text}
        headers = {"X-Request-Id": _reference("headers", "X-Request-Id")}
        operation["responses"]["200"] = {"description": "OK", "headers": headers, "content": content}
    operation["responses"] |= _references((*page.errors, *EVERYWHERE))
    if page.request is not None:
        operation["requestBody"] = {"content": _json(page.request)}
    if "{" in route.path:
        names = {name: name for name in ("model", "version", "verb", "file")}
        names |= {"model": "any_model"} if page.unlisted else {}
        used = [reference for name, reference in names.items() if f"{{{name}}}" in route.path]
        operation["parameters"] = [_reference("parameters", reference) for reference in used]
    return operation


def _prediction(protocol: str, entry: Entry, reference: str, versioned: bool, binary: bool) -> Schema:
    version = f"-{entry.version}" if versioned else ""
    names = (*OF_REQUEST, *([BINARY] if binary else []), *(["top"] if protocol == "plain" else []))
    return {
        "operationId": f"{protocol}.predict{version}.{entry.name}",
        "tags": [entry.name],
        "summary": f"Predict with {entry.name}, version {entry.version}",
        "parameters": [_reference("parameters", name) for name in names],
        "requestBody": _reference("requestBodies", reference),
        "responses": {"200": _reference("responses", reference)} | _references(OF_PREDICTIONS),
    }


def _add_bodies(
    components: dict[str, dict[str, Any]], name: str, bodies: Bodies, signature: Signature, binary: bool
) -> None:
    """Add what requests and responses of one version of a model look like."""
    request, response = f"{name}-request", f"{name}-response"
    components["schemas"][request] = bodies.request(signature)
    components["schemas"][response] = bodies.response(signature)
    raw: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}} if binary else {}
    taken = _json(_reference("schemas", request))
    example = bodies.example(signature)
    if example is not None:
        components["examples"][name] = {"summary": "Drawn, not real data", "value": example}
        taken["application/json"]["examples"] = {"drawn": _reference("examples", name)}
    headers = {header: _reference("headers", header) for header in (*OF_RESPONSE, *([BINARY] if binary else []))}
    components["requestBodies"][name] = {"required": True, "content": taken | bodies.other_requests(signature)}
    components["responses"][name] = {
        "description": "The prediction.",
        "headers": headers,
        "content": _json(_reference("schemas", response)) | raw,
    }


def _add_answer(components: dict[str, dict[str, Any]], name: str, codec: Codec, signature: Signature) -> None:
    """Add an example to what responses of one version of a model look like."""
    answer = draw_answer(codec, signature)
    if answer is not None:
        components["examples"][f"{name}-answer"] = {"summary": "Drawn, not computed by the model", "value": answer}
        content = components["responses"][name]["content"]["application/json"]
        content["examples"] = {"drawn": _reference("examples", f"{name}-answer")}


def _path(route: Route, entry: Entry, repository: Repository) -> str | None:
    """Return where a model's version answers predictions, or None if another version does, or none."""
    if route.handler != "predict":
        return None
    if "{version}" not in route.path and entry is not repository.default(entry.name):
        return None
    if "{model}" not in route.path and len(repository.versions) != 1:
        return None
    return route.path.format(model=entry.name, version=entry.version)


def _parameters(repository: Repository) -> dict[str, Schema]:
    common: Schema = {"in": "path", "required": True}
    return {
        "model": {"name": "model", "schema": {"enum": list(repository.versions)}} | common,
        "any_model": {"name": "model", "schema": TEXT} | common,
        "version": {"name": "version", "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"}} | common,
        "file": {"name": "file", "schema": TEXT} | common,
        "top": TOP,
        "verb": {"name": "verb", "schema": {"enum": ["explain", "classify", "regress"]}} | common,
    } | {name: {"name": name, "in": "header"} | parameter for name, parameter in PARAMETERS.items()}


def _error(status: int) -> Schema:
    response = {"description": ERRORS[status], "content": _json(_reference("schemas", "Error"))}
    if status in (429, 503):
        response["headers"] = {"Retry-After": _reference("headers", "Retry-After")}
    return response


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _references(statuses: Sequence[int]) -> Schema:
    return {str(status): _reference("responses", str(status)) for status in statuses}


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}

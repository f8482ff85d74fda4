"""
Everything but predictions and probes: plain functions of a request, and the Starlette application that routes to them.

Imported with the first such request.
"""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from snooze.bundle.contract import Tensor
from snooze.service.app import CODECS, read_body
from snooze.service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    ModelNotReady,
    RequestError,
    UnknownModel,
    UnknownPath,
    UnsupportedVerb,
)
from snooze.service.messages import Request, Response, Route
from snooze.service.metrics import CONTENT_TYPE
from snooze.service.protocols.v2 import EXTENSIONS, LOAD_EXTENSIONS
from snooze.service.requests import check_length, decompress, parse_json
from snooze.service.responses import INTERNAL, JSON, VARY, compress, error_response
from snooze.service.runtime.model import Model
from snooze.service.runtime.repository import Entry
from snooze.service.statistics import collect

if TYPE_CHECKING:
    from snooze.bundle.adapters.interface import Adapter
    from snooze.service.app import Application
    from snooze.service.pages.frame import Links

PLATFORM: Final = "onnx_onnxv1"
Page = Callable[[Request, Mapping[str, str]], Response | Awaitable[Response]]


def create_pages(routes: Sequence[Route], served: "Application") -> ASGIApp:
    """Return the application for every path of the table; predictions of served models never reach it."""
    state = served.state
    pages = Pages(routes, served)
    runtime = getattr(sys.modules.get("onnxruntime"), "__version__", "unknown")
    state.metrics.build.value(_version(), runtime, platform.python_version()).value = 1

    def adapt(page: Page) -> Callable[[StarletteRequest], Any]:
        async def endpoint(request: StarletteRequest) -> StarletteResponse:
            headers = dict(request.headers.raw)
            body = b""
            if request.method == "POST" and page != pages.predict:
                check_length(headers, state.max_body)
                body = await read_body(await request.receive(), request.receive, state.max_body)
            query = request.scope["query_string"]
            answer = page(
                Request(request.method, request.url.path, headers, body, 0.0, 0.0, query), request.path_params
            )
            return complete(request, answer if isinstance(answer, Response) else await answer)

        return endpoint

    def complete(request: StarletteRequest, response: Response) -> StarletteResponse:
        headers = dict(request.headers.raw)
        answer = StarletteResponse(response.body, response.status)
        answer.raw_headers += [*response.headers, *state.common_headers(state.request_id(headers), headers)]
        return answer

    async def refuse(request: StarletteRequest, error: Exception) -> StarletteResponse:
        if isinstance(error, HTTPException):
            if error.status_code == 405:
                allowed = (error.headers or {}).get("Allow", "").replace(" ", "").split(",")
                error = MethodNotAllowed(request.method, sorted(allowed))
            else:
                error = UnknownPath(request.url.path, list(served.repository.versions))
        assert isinstance(error, RequestError)
        return complete(request, error_response(error))

    async def fail(request: StarletteRequest, error: Exception) -> StarletteResponse:
        state.log.write("error", f"{type(error).__name__}: {error}", path=request.url.path)
        return complete(request, Response(500, [JSON], INTERNAL))

    app = Starlette(
        routes=[
            StarletteRoute(route.path, adapt(getattr(pages, route.handler)), methods=[route.method])
            for route in routes
            if hasattr(pages, route.handler)
        ],
        exception_handlers={RequestError: refuse, HTTPException: refuse, Exception: fail},
    )
    app.router.redirect_slashes = False
    return app


class Pages:
    """The handlers of the routing table, by their names there."""

    def __init__(self, routes: Sequence[Route], served: "Application") -> None:
        self._routes = routes
        self._served = served  # its repository changes, and the old one must not be kept in memory
        self._state = served.state
        self._described: tuple[list[object], bytes] | None = None  # of what it is, and the document
        self._docs: tuple[bytes, tuple[str, str]] | None = None  # the document, and the page of it

    def root(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the page for people, or say that the server is alive, as KServe's client asks."""
        if not self._state.settings.pages:
            return _json({"status": "alive"})
        if b"text/html" not in request.headers.get(b"accept", b""):
            return Response(200, [JSON, VARY], b'{"status":"alive"}')
        from snooze.service.pages import home

        return home.respond(self._served.repository, request.query, self._links())

    def static(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return a style or a script of the pages."""
        from snooze.service.pages import files

        if parameters["file"] not in files.FILES:
            raise UnknownPath(request.path, list(self._served.repository.versions))
        return files.respond(parameters["file"], request.headers)

    def report(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the report of a model."""
        from snooze.service.pages import report

        return report.respond(self._find_model(parameters), self._state.settings.report)

    def example(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return a drawn request for a model."""
        from snooze.service.pages import examples

        return examples.respond(self._find_model(parameters), request.query)

    def server(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Describe the server."""
        extensions = EXTENSIONS + LOAD_EXTENSIONS if self._state.settings.allow_load else EXTENSIONS
        return _json({"name": "snooze", "version": _version(), "extensions": extensions})

    def index(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """List all versions of all models; `{"ready": true}` leaves out those that cannot answer."""
        asked = self._parse_body(request)
        if type(asked) is not dict or type(asked.get("ready", False)) is not bool:
            raise InvalidRequest('expected an empty body or {"ready": true}')
        return _json([_listed(one) for one in self._served.repository.entries if one.model or not asked.get("ready")])

    async def load(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Load what is on disk of a model, and answer when it is proved."""
        self._check_load_parameters(request, ())
        await self._served.reloader.load(parameters["model"])
        return _json({})

    async def unload(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Stop serving a model. No model depends on another, so `unload_dependents` changes nothing."""
        self._check_load_parameters(request, ("unload_dependents",))
        await self._served.reloader.unload(parameters["model"])
        return _json({})

    def model(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Describe the signature of a model."""
        entry = self._find(parameters)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        bundle = entry.model.bundle
        versions = self._served.repository.versions[entry.name].values()
        return _json(
            {
                "name": entry.name,
                "versions": [str(one.version) for one in versions if one.model],
                "platform": PLATFORM,
                "inputs": [_described(tensor) for tensor in bundle.inputs],
                "outputs": [_described(tensor) for tensor in bundle.outputs],
                **_described_adapter(entry.model.adapter),
            }
        )

    def model_ready(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Say whether a model can answer."""
        entry = self._find(parameters)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        return _json({"name": entry.name, "ready": True})

    def models(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """List the names of all models, as KServe's V1 does."""
        return _json({"models": list(self._served.repository.versions)})

    def model_status(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Say whether a model can answer, as KServe's V1 does, and the state of each version, as TensorFlow Serving."""
        entry = self._find(parameters)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        entries = [entry] if "version" in parameters else self._served.repository.versions[entry.name].values()
        status = [_status(one) for one in entries]
        return _json({"name": entry.name, "ready": True, "model_version_status": status})

    def verb(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Refuse what V1 can ask of a model besides predictions."""
        self._find(parameters)
        raise UnsupportedVerb(parameters["verb"])

    def predict(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Name the model or version that is not served."""
        self._find(parameters)
        raise UnknownPath(request.path, list(self._served.repository.versions))

    def metrics(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(200, [(b"content-type", CONTENT_TYPE)], self._state.metrics.exposition())

    def statistics(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return what all models did, or all versions of a model, or one."""
        if "version" in parameters:
            entries = [self._find(parameters)]
        elif "model" in parameters:
            entries = list(self._served.repository.versions[self._find(parameters).name].values())
        else:
            entries = self._served.repository.entries
        return _json({"model_stats": [collect(entry, self._state.metrics) for entry in entries]})

    def openapi(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the OpenAPI document of the models that are loaded now."""
        body, headers = compress(self._describe(), request.headers)
        return Response(200, [JSON, *headers], body)

    async def docs(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the OpenAPI document as a page for people."""
        from snooze.service.pages import docs

        document = self._describe()
        if self._docs is None or self._docs[0] is not document:
            # In a thread: the page of fifty models takes a tenth of a second.
            self._docs = document, await asyncio.to_thread(docs.render, orjson.loads(document))
        return docs.respond(self._docs[1], request.headers, self._links())

    def _links(self) -> "Links":
        from snooze.service.pages.frame import Links

        return Links("docs" in {route.handler for route in self._routes}, self._state.settings.report)

    def _describe(self) -> bytes:
        served = self._served
        loaded: list[object] = [
            one.model.bundle if one.model else (one.name, one.version) for one in served.repository.entries
        ]
        loaded.append(served.aliases)
        if self._described is None or self._described[0] != loaded:
            from snooze.service.openapi.document import describe

            protocols = {codec.PROTOCOL: codec.ROUTES for codec in CODECS}
            document = describe(self._routes, protocols, served.repository, _version(), served.aliases)
            self._described = loaded, orjson.dumps(document)
        return self._described[1]

    def _parse_body(self, request: Request) -> Any:
        body = request.body
        if b"content-encoding" in request.headers:
            body = decompress(body, request.headers[b"content-encoding"], self._state.max_body)
        return parse_json(body) if body.strip() else {}

    def _check_load_parameters(self, request: Request, known: Sequence[str]) -> None:
        asked = self._parse_body(request)
        parameters = asked.get("parameters") or {} if type(asked) is dict else None
        if type(parameters) is not dict:
            raise InvalidRequest("expected an empty body or an object whose 'parameters' are an object")
        for name in parameters:
            if name not in known:
                raise InvalidRequest(f"parameter '{name}' is not supported: a model is served as its bundle says")

    def _find_model(self, parameters: Mapping[str, str]) -> Model:
        entry = self._find(parameters)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        return entry.model

    def _find(self, parameters: Mapping[str, str]) -> Entry:
        name, number = parameters["model"], parameters.get("version")
        versions = self._served.repository.versions.get(name)
        if versions is None:
            raise UnknownModel(f"model '{name}'", self._served.repository.versions)
        if number is None:
            return self._served.repository.default(name)
        entry = versions.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        if entry is None or str(entry.version) != number:
            raise UnknownModel(f"version '{number}' of model '{name}'", map(str, versions))
        return entry


def _json(value: Any) -> Response:
    return Response(200, [JSON], orjson.dumps(value))


def _described_adapter(adapter: "Adapter | None") -> dict[str, Any]:
    """Return an adapter as metadata lists it: a request may have its input, if it has one, instead of the model's."""
    if adapter is None:
        return {}
    inputs = [] if adapter.input is None else [_described(adapter.input)]
    return {"adapter": {"kind": adapter.kind, "inputs": inputs}}


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _listed(entry: Entry) -> dict[str, Any]:
    state = "READY" if entry.model is not None else "UNAVAILABLE"
    reason = "" if entry.error is None else str(entry.error)
    return {"name": entry.name, "version": str(entry.version), "state": state, "reason": reason}


def _status(entry: Entry) -> dict[str, Any]:
    state, code = ("AVAILABLE", "OK") if entry.model is not None else ("END", "UNKNOWN")
    status = {"error_code": code, "error_message": str(entry.error or "")}
    return {"version": str(entry.version), "state": state, "status": status}


def _version() -> str:
    try:
        return version("snooze")
    except PackageNotFoundError:
        return "unknown"

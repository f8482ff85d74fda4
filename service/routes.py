"""The paths that no first answer needs: a Starlette application, imported when the first of them is asked for."""

import platform
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snooze.bundle.contract import Tensor
from snooze.service.endpoint import Desk
from snooze.service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    ModelNotReady,
    RequestError,
    UnknownModel,
    UnknownPath,
)
from snooze.service.metrics import CONTENT_TYPE
from snooze.service.repository import Entry, Repository
from snooze.service.requests import parsed, read_body
from snooze.service.responses import INTERNAL, STATUS, error_body, error_headers

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["binary_tensor_data", "parameters", "model_repository"]
Page = Callable[[Request], Awaitable[Response]]


def create_routes(repository: Repository, desk: Desk) -> ASGIApp:
    """Return the application for every path that is not hot."""
    pages = Pages(repository, desk)
    runtime = getattr(sys.modules.get("onnxruntime"), "__version__", "unknown")
    desk.metrics.build.value(_version(), runtime, platform.python_version()).value = 1
    model, of_version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    table: list[tuple[str, Page, str]] = [
        ("/", pages.root, "GET"),
        ("/v2", pages.server, "GET"),
        ("/v2/", pages.server, "GET"),
        ("/v2/repository/index", pages.index, "POST"),
        (model, pages.model, "GET"),
        (of_version, pages.model, "GET"),
        (f"{model}/ready", pages.model_ready, "GET"),
        (f"{of_version}/ready", pages.model_ready, "GET"),
        # Only what is not served comes by here: predictions of models that are there are hot.
        (f"{model}/infer", pages.unknown, "POST"),
        (f"{of_version}/infer", pages.unknown, "POST"),
        ("/models/{model}/predict", pages.unknown, "POST"),
        ("/models/{model}/versions/{version}/predict", pages.unknown, "POST"),
        ("/metrics", pages.metrics, "GET"),
    ]
    app = Starlette(
        routes=[Route(path, page, methods=[method]) for path, page, method in table],
        exception_handlers={RequestError: _refused, HTTPException: pages.not_routed, Exception: pages.failed},
    )
    app.router.redirect_slashes = False
    return _Headers(app, desk)


class Pages:
    """The pages, each a request in and a response out."""

    def __init__(self, repository: Repository, desk: Desk) -> None:
        self._repository = repository
        self._desk = desk

    async def root(self, request: Request) -> Response:
        """KServe's client asks here whether the server lives."""
        return _json({"status": "alive"})

    async def server(self, request: Request) -> Response:
        """Say who we are."""
        return _json({"name": "snooze", "version": _version(), "extensions": EXTENSIONS})

    async def index(self, request: Request) -> Response:
        """List all versions of all models; `{"ready": true}` leaves out those that cannot answer."""
        body = await read_body(request.receive, dict(request.headers.raw), self._desk.settings.max_body)
        asked = parsed(body) if body.strip() else {}
        if type(asked) is not dict or type(asked.get("ready", False)) is not bool:
            raise InvalidRequest('expected nothing or {"ready": true}')
        return _json([_listed(one) for one in self._repository.entries if one.model or not asked.get("ready")])

    async def model(self, request: Request) -> Response:
        """Describe a model by its own signature."""
        entry = self._entry(request)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        bundle = entry.model.bundle
        return _json(
            {
                "name": entry.name,
                "versions": [str(number) for number in self._repository.versions[entry.name]],
                "platform": PLATFORM,
                "inputs": [_described(tensor) for tensor in bundle.inputs],
                "outputs": [_described(tensor) for tensor in bundle.outputs],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """Say whether a model can answer."""
        entry = self._entry(request)
        if entry.model is None:
            raise ModelNotReady(entry.name, str(entry.error))
        return _json({"name": entry.name, "ready": True})

    async def unknown(self, request: Request) -> Response:
        """Name what is not served."""
        self._entry(request)
        raise UnknownPath(request.url.path, list(self._repository.versions))

    async def metrics(self, request: Request) -> Response:
        """Give Prometheus its numbers."""
        return Response(self._desk.metrics.exposition(), headers={"content-type": CONTENT_TYPE.decode()})

    async def not_routed(self, request: Request, error: Exception) -> Response:
        """Say in our own form what Starlette says in plain text: 404 and 405."""
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "").replace(" ", "").split(",")
            return await _refused(request, MethodNotAllowed(request.method, sorted(allowed)))
        return await _refused(request, UnknownPath(request.url.path, list(self._repository.versions)))

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer for a fault of ours, and tell the log."""
        self._desk.log.write("error", f"{type(error).__name__}: {error}", path=request.url.path)
        return Response(INTERNAL, 500, media_type="application/json")

    def _entry(self, request: Request) -> Entry:
        name, number = request.path_params["model"], request.path_params.get("version")
        versions = self._repository.versions.get(name)
        if versions is None:
            raise UnknownModel(f"model '{name}'", self._repository.versions)
        if number is None:
            return self._repository.default(name)
        entry = versions.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        if entry is None or str(entry.version) != number:
            raise UnknownModel(f"version '{number}' of model '{name}'", map(str, versions))
        return entry


class _Headers:
    """Adds to each answer the headers that predictions have as well."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = dict(scope["headers"])
        common = self._desk.common_headers(self._desk.request_id(request), request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *common]
            await send(message)

        return await self._app(scope, receive, send_with_headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = Response(error_body(error), STATUS[type(error)])
    response.raw_headers += error_headers(error)
    return response


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _listed(entry: Entry) -> dict[str, Any]:
    state, reason = ("READY", "") if entry.model is not None else ("UNAVAILABLE", str(entry.error))
    return {"name": entry.name, "version": str(entry.version), "state": state, "reason": reason}


def _version() -> str:
    try:
        return version("snooze")
    except PackageNotFoundError:
        return "unknown"

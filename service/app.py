"""
The ASGI application. What a cold start or a busy server touches is dispatched by one look-up and answered here:
predictions, health, readiness. Everything else is a Starlette application that is imported with its first request,
because its import would cost every first answer 10 to 20 ms.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from time import perf_counter

import orjson

from snooze.service import plain, v2
from snooze.service.cpu import allowed
from snooze.service.endpoint import Desk, Endpoint
from snooze.service.errors import MethodNotAllowed, UnknownModel
from snooze.service.locate import locate
from snooze.service.logs import Log
from snooze.service.metrics import Metrics
from snooze.service.repository import Entry, Repository, check, load, prove
from snooze.service.requests import Receive, Scope, Send
from snooze.service.responses import JSON, RETRY_AFTER, STATUS, Headers, error_body, error_headers
from snooze.service.settings import Settings

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Application:
    """Everything that is served, as one ASGI callable."""

    def __init__(self, repository: Repository, settings: Settings, desk: Desk) -> None:
        self.repository = repository
        self.settings = settings
        self.desk = desk
        self._cold: Handler | None = None
        self._hot: dict[str, Handler] = {
            "/healthz": self._alive,
            "/v2/health/live": self._alive,
            "/readyz": self._ready,
            "/v2/health/ready": self._ready,
        }
        for entry in repository.entries:
            self._add(entry)
        self.refresh()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        handler = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        await (handler or self._others)(scope, receive, send)

    def refresh(self) -> None:
        """Note whether the server is ready: readiness is asked for often and must touch no model."""
        why = "the server is stopping" if self.desk.draining else self.repository.unready(self.settings.ready)
        self._readiness: tuple[int, bytes, Headers]
        if why is None:
            self._readiness = 200, b'{"ready":true,"live":true}', [JSON]
        else:
            self._readiness = 503, orjson.dumps({"error": why, "ready": False, "live": True}), [JSON, RETRY_AFTER]
        for entry in self.repository.entries:
            proved = entry.model is not None and entry.model.proved
            self.desk.metrics.ready.value(entry.name, str(entry.version)).value = int(proved)

    def begin(self) -> float:
        """Count idle time from now on, and return what `desk.touched` is until something is asked for."""
        self.desk.touched = perf_counter()
        return self.desk.touched

    def drain(self) -> None:
        """Stop being ready and ask clients to go elsewhere; requests are still answered."""
        self.desk.draining = True
        self.refresh()

    def idle_for(self) -> float:
        """Return the seconds since the last request ended, 0 while one runs. Probes do not count."""
        return 0.0 if self.desk.in_flight else perf_counter() - self.desk.touched

    def _add(self, entry: Entry) -> None:
        endpoints = [
            Endpoint(self.desk, entry.name, entry.version, entry.model, wire, str(entry.error)) for wire in (v2, plain)
        ]
        name, version = entry.name, entry.version
        default = self.repository.default(name) is entry
        for endpoint, base, verb in zip(endpoints, ("/v2/models", "/models"), ("infer", "predict"), strict=True):
            self._hot[f"{base}/{name}/versions/{version}/{verb}"] = endpoint
            if default:
                self._hot[f"{base}/{name}/{verb}"] = endpoint
        if default:
            self._hot["/predict"] = endpoints[1] if len(self.repository.versions) == 1 else self._which

    async def _alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._probe(scope, send, (200, b'{"live":true}', [JSON]))

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._probe(scope, send, self._readiness)

    async def _probe(self, scope: Scope, send: Send, answer: tuple[int, bytes, Headers]) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            error = MethodNotAllowed(scope["method"], ("GET", "HEAD"))
            answer = 405, error_body(error), error_headers(error)
        await self._send(scope, send, answer)

    async def _which(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = self.repository.versions
        error = UnknownModel("single model behind /predict: use /models/NAME/predict", names)
        await self._send(scope, send, (STATUS[UnknownModel], error_body(error), error_headers(error)))

    async def _send(self, scope: Scope, send: Send, answer: tuple[int, bytes, Headers]) -> None:
        status, body, headers = answer
        request = dict(scope["headers"])
        common = self.desk.common_headers(self.desk.request_id(request), request)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *common, length]})
        await send({"type": "http.response.body", "body": body})

    async def _others(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._cold is None:
            from snooze.service.routes import create_routes

            self._cold = create_routes(self.repository, self.desk)
        self.desk.touched = perf_counter()
        await self._cold(scope, receive, send)


def create_app(settings: Settings, threads: Executor | None = None) -> Application:
    """
    Return the application that serves the bundles of `settings.models`, loaded and proved.

    `threads` run the models whose bundles ask for a thread; without them they run in the event loop's own.

    Raises:
        BundleError, ServiceError: a bundle is broken, or its model not the golden one on this CPU.
    """
    repository = load(locate(settings.models), processors(settings))
    prove(repository, lambda phase: None)
    check(repository, settings.ready)
    return Application(repository, settings, Desk(settings, Metrics(), Log(settings.log), threads))


def processors(settings: Settings) -> int:
    """Return how many threads one run may have."""
    return min(allowed(), settings.threads) if settings.threads else allowed()

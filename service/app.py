"""
The ASGI application: one routing table, and the caller of the endpoints over ASGI.

The table lists every path. Predictions and probes are expanded to exact paths and found by one look-up. All others form
a Starlette application that is imported with its first request: the import would cost each cold start 10 to 20 ms.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import orjson

from snooze.service.endpoint import Endpoint
from snooze.service.errors import BodyTooLarge, MethodNotAllowed, RequestError, UnknownModel
from snooze.service.logs import Log
from snooze.service.messages import Handler, Request, Response, Route
from snooze.service.metrics import Metrics
from snooze.service.process.cpu import allowed
from snooze.service.process.locate import locate, locate_aliases
from snooze.service.protocols import plain, v1, v2
from snooze.service.responses import JSON, RETRY_AFTER, error_response
from snooze.service.runtime.model import Model
from snooze.service.runtime.repository import Entry, Repository, check, load, prove
from snooze.service.runtime.scheduler import Scheduler
from snooze.service.settings import Settings
from snooze.service.state import ServerState

if TYPE_CHECKING:
    from snooze.service.aliases.reading import Alias
    from snooze.service.runtime.reload import Reloader

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ROUTES: Final = (
    Route("GET", "/", "root"),
    Route("GET", "/healthz", "alive"),
    Route("GET", "/readyz", "ready"),
    Route("GET", "/metrics", "metrics"),
    Route("GET", "/openapi.json", "openapi"),
    Route("GET", "/docs", "docs"),
    Route("GET", "/static/{file}", "static"),
    Route("GET", "/models/{model}/report", "report"),
    Route("GET", "/models/{model}/versions/{version}/report", "report"),
    Route("GET", "/models/{model}/example", "example"),
    Route("GET", "/models/{model}/versions/{version}/example", "example"),
    *v2.ROUTES,
    *v1.ROUTES,
    *plain.ROUTES,
)
PAGES: Final = ("docs", "static", "example")  # handlers of the pages for people, apart from `/`
CODECS: Final = (v2, v1, plain)


class Disconnected(Exception):
    """The client went away before its request was complete: there is nobody to answer."""


class Application:
    """Everything that is served, as one ASGI callable."""

    def __init__(self, repository: Repository, settings: Settings, state: ServerState) -> None:
        self.repository = repository
        self.settings = settings
        self.state = state
        off = (() if settings.allow_load else ("load", "unload")) + (() if settings.pages else PAGES)
        self._routes = [route for route in ROUTES if route.handler not in off]
        self._pages: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None
        self._reloader: Reloader | None = None
        self._hot: dict[str, Endpoint | Handler] = {}
        self._endpoints: dict[Model, list[Endpoint]] = {}  # by protocol, as CODECS
        self._ready_if = settings.ready
        self.aliases = self.read_aliases(repository)
        self._serve()

    @property
    def reloader(self) -> "Reloader":
        """What loads and unloads models; made when it is first needed."""
        if self._reloader is None:
            from snooze.service.runtime.reload import Reloader

            self._reloader = Reloader(self, processors(self.settings))
        return self._reloader

    @property
    def has_reloaded(self) -> bool:
        """Whether there is a thread that may load a model at this moment."""
        return self._reloader is not None

    def read_aliases(self, repository: Repository) -> "tuple[Alias, ...]":
        """Return the aliases on disk. Raises InvalidAliases, also if one does not fit the models of `repository`."""
        files = locate_aliases(self.settings)
        if not files:
            return ()
        from snooze.service.aliases.serving import load

        return load(files, ROUTES, repository)

    def replace(self, repository: Repository, aliases: "tuple[Alias, ...] | None" = None) -> None:
        """
        Serve other models from now on, and other aliases if given. A model that was served before keeps its endpoints.

        The server stays ready as long as any model can answer: a bundle that is refused changes nothing.
        """
        for entry in self.repository.entries:
            self.state.metrics.ready.value(entry.name, str(entry.version)).value = 0
        self.repository = repository
        self.aliases = self.aliases if aliases is None else aliases
        self._ready_if = "any"
        self._serve()
        self.state.fit_budget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        if type(endpoint) is not Endpoint:
            await self._answer_other(endpoint, scope, receive, send)
            return
        arrived = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        endpoint.in_flight.value += 1
        try:
            response = endpoint.check(scope["method"], headers, arrived)
            if response is None:
                body = await read_body(await receive(), receive, self.state.max_body)
                response = await self._answer(
                    endpoint,
                    Request("POST", scope["path"], headers, body, arrived, arrived, scope.get("query_string", b"")),
                )
        except BodyTooLarge as error:
            response = endpoint.refuse(error, headers, arrived)
        except Disconnected:
            response = None
        try:
            if response is not None:
                status, described, body = response
                await send({"type": "http.response.start", "status": status, "headers": described})
                await send({"type": "http.response.body", "body": body})
        finally:
            endpoint.in_flight.value -= 1
            self.state.touched = perf_counter()

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        response = endpoint(request)
        if isinstance(response, Response):
            return response
        self.state.budget.used += response.size
        try:
            return await response.response
        finally:
            self.state.budget.used -= response.size

    def find(self, path: str) -> Endpoint | Handler | None:
        """Return what answers requests for a path at once; None leaves them to the application."""
        return self._hot.get(path)

    def complete(self, headers: Mapping[bytes, bytes], response: Response) -> Response:
        """Add the headers of every response to those that describe the body; `headers` are those of the request."""
        status, described, body = response
        common = self.state.common_headers(self.state.request_id(headers), headers)
        return Response(status, [*described, *common, (b"content-length", b"%d" % len(body))], body)

    def refresh(self) -> None:
        """Compute the answer to readiness probes, which are frequent and must not touch a model."""
        problem = "the server is stopping" if self.state.draining else self.repository.unready(self._ready_if)
        if problem is None:
            self._readiness = Response(200, [JSON], b'{"ready":true,"live":true}')
        else:
            body = orjson.dumps({"error": problem, "ready": False, "live": True})
            self._readiness = Response(503, [JSON, RETRY_AFTER], body)
        for entry in self.repository.entries:
            proved = entry.model is not None and entry.model.proved
            self.state.metrics.ready.value(entry.name, str(entry.version)).value = int(proved)

    def begin(self) -> float:
        """Start to count idle time, and return the value of `state.touched` until the first request ends."""
        self.state.touched = perf_counter()
        return self.state.touched

    def drain(self) -> None:
        """Stop being ready, and ask clients to close their connections; requests are still answered."""
        self.state.draining = True
        if self._reloader is not None:
            self._reloader.end()
        self.refresh()

    def idle_for(self) -> float:
        """Return the seconds since the last request ended, 0 while one is open. Probes do not count."""
        return 0.0 if self.state.in_flight else perf_counter() - self.state.touched

    def _serve(self) -> None:
        """Make the table of exact paths, and look at the models anew."""
        hot: dict[str, Endpoint | Handler] = {}
        for route in self._routes:
            if route.handler in ("alive", "ready"):
                hot[route.path] = self._alive if route.handler == "alive" else self._ready
        endpoints: dict[Model, list[Endpoint]] = {}
        for entry in self.repository.entries:
            of_entry = self._endpoints.get(entry.model) if entry.model is not None else None
            of_entry = of_entry or self._create_endpoints(entry)
            if entry.model is not None:
                endpoints[entry.model] = of_entry
            for codec, endpoint in zip(CODECS, of_entry, strict=True):
                self._add(hot, entry, codec.ROUTES, endpoint)
        if self.aliases:
            from snooze.service.aliases.serving import create_endpoints

            hot |= create_endpoints(self.aliases, self.repository, endpoints, self.state)
        # The table is replaced as a whole, so that no request finds a part of it.
        self._hot, self._endpoints = hot, endpoints
        self.refresh()

    def _create_endpoints(self, entry: Entry) -> list[Endpoint]:
        state = self.state
        scheduler = None
        if entry.model is not None:
            scheduler = Scheduler(entry.model, state)
        gauge = state.metrics.in_flight.value(entry.name, str(entry.version))
        if gauge not in state.gauges:
            state.gauges.append(gauge)
        return [Endpoint(state, entry, codec, scheduler) for codec in CODECS]

    def _add(self, hot: dict[str, Endpoint | Handler], entry: Entry, routes: Sequence[Route], to: Endpoint) -> None:
        """Add the exact paths of one version's predictions by one protocol."""
        default = self.repository.default(entry.name) is entry
        for route in routes:
            if route.handler != "predict":
                continue
            if "{version}" in route.path:
                hot[route.path.format(model=entry.name, version=entry.version)] = to
            elif "{model}" in route.path and default:
                hot[route.path.format(model=entry.name)] = to
            elif default:
                hot[route.path] = to if len(self.repository.versions) == 1 else self._choose_model

    async def _answer_other(
        self, handler: Endpoint | Handler | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if handler is not None and not isinstance(handler, Endpoint):
            status, headers, body = handler(
                Request(scope["method"], scope["path"], dict(scope["headers"]), b"", 0.0, 0.0)
            )
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        if self._pages is None:
            from snooze.service.pages.application import create_pages

            self._pages = create_pages(self._routes, self)
        self.state.touched = perf_counter()
        await self._pages(scope, receive, send)

    def _alive(self, request: Request) -> Response:
        return self._probe(request, Response(200, [JSON], b'{"live":true}'))

    def _ready(self, request: Request) -> Response:
        return self._probe(request, self._readiness)

    def _probe(self, request: Request, response: Response) -> Response:
        if request.method not in ("GET", "HEAD"):
            response = error_response(MethodNotAllowed(request.method, ("GET", "HEAD")))
        return self.complete(request.headers, response)

    def _choose_model(self, request: Request) -> Response:
        error: RequestError
        error = UnknownModel("single model behind /predict: use /models/NAME/predict", self.repository.versions)
        if request.method != "POST":
            error = MethodNotAllowed(request.method, ("POST",))
        return self.complete(request.headers, error_response(error))


async def read_body(message: Message, receive: Receive, limit: int) -> bytes:
    """
    Return the body that begins with `message`, as it came.

    Raises:
        BodyTooLarge: it exceeds `limit` bytes.
        Disconnected: the client went away.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def create_app(settings: Settings) -> Application:
    """
    Return the application that serves the bundles of `settings.models`, loaded and proved.

    Raises:
        BundleError, ServiceError: a bundle is broken, or its model does not give its golden outputs on this CPU.
    """
    repository = load(locate(settings.models), processors(settings))
    prove(repository, lambda phase: None)
    check(repository, settings.ready)
    return Application(repository, settings, ServerState(settings, Metrics(), Log(settings.log)))


def processors(settings: Settings) -> int:
    """Return how many threads one run may use."""
    return min(allowed(), settings.threads) if settings.threads else allowed()

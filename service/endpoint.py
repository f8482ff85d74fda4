"""One prediction from the first byte of the request to the last of the answer, whatever the protocol: the hot path."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from math import inf
from time import perf_counter
from typing import Protocol

from snooze.service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    MethodNotAllowed,
    ModelNotReady,
    Overloaded,
    RequestError,
)
from snooze.service.logs import Log
from snooze.service.metrics import Histogram, Metrics
from snooze.service.model import Model
from snooze.service.requests import (
    REQUEST_ID,
    TRACEPARENT,
    Disconnected,
    Receive,
    Scope,
    Send,
    check_length,
    finish_body,
    seconds_allowed,
)
from snooze.service.responses import INTERNAL, JSON, REASONS, STATUS, Headers, compressed, error_body, error_headers
from snooze.service.settings import Settings
from snooze.service.tensors import Array
from snooze.service.v2 import Call


class Wire(Protocol):
    """What a protocol gives: `v2` and `plain` are such modules."""

    PROTOCOL: str

    def parse(self, model: Model, headers: Mapping[bytes, bytes], body: bytes) -> Call: ...
    def answer(self, model: Model, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]: ...


class Desk:
    """What all predictions of one application share: limits, counts, and what the server is about to do."""

    def __init__(self, settings: Settings, metrics: Metrics, log: Log, threads: Executor | None) -> None:
        self.settings = settings
        self.metrics = metrics
        self.log = log
        self.threads = threads
        self.in_flight = 0
        self.draining = False
        self.touched = perf_counter()
        self.server_timing: bytes | None = None
        self._id_prefix = os.urandom(6).hex().encode() + b"-"
        self._ids = 0

    def request_id(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the client's `X-Request-Id` if it is one, else one that nobody else has."""
        if b"x-request-id" in headers and REQUEST_ID.fullmatch(given := headers[b"x-request-id"]):
            return given
        self._ids += 1
        return b"%s%d" % (self._id_prefix, self._ids)

    def common_headers(self, request_id: bytes, headers: Mapping[bytes, bytes]) -> Headers:
        """Return the headers that every answer has."""
        common = [(b"x-request-id", request_id)]
        trace = headers.get(b"traceparent")
        if trace is not None and TRACEPARENT.fullmatch(trace):
            common.append((b"traceparent", trace))
        if self.draining:
            common.append((b"connection", b"close"))
        return common


class Endpoint:
    """Answers predictions of one model by one protocol, as an ASGI application. `broken` says why there is no model."""

    def __init__(self, desk: Desk, name: str, version: int, model: Model | None, wire: Wire, broken: str = "") -> None:
        self._desk = desk
        self._name = name
        self._model = model
        self._protocol = wire.PROTOCOL
        self._parse = wire.parse
        self._write = wire.answer
        self._broken = broken
        self._limit = desk.settings.max_body
        self._most = desk.settings.max_in_flight
        self._allowed = desk.settings.timeout or inf
        self._in_executor = model is not None and model.bundle.session.run_in == "executor"
        of_model = (name, str(version))
        metrics = desk.metrics
        self._of_model = of_model
        self._answered = metrics.requests.value(*of_model, wire.PROTOCOL, "200")
        self._in_flight = metrics.in_flight.value(*of_model)
        self._seconds: Histogram = metrics.seconds.histogram(*of_model, wire.PROTOCOL)
        self._run_seconds = metrics.run.histogram(*of_model)
        self._queue_seconds = metrics.queue.histogram(*of_model)
        self._rows = metrics.rows.histogram(*of_model)
        self._headers: Headers = [(b"snooze-model", name.encode()), (b"snooze-version", str(version).encode())]
        if desk.settings.revision:
            self._headers.append((b"snooze-revision", desk.settings.revision.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with an error if need be."""
        began = perf_counter()
        desk = self._desk
        request = dict(scope["headers"])
        request_id = desk.request_id(request)
        running = 0
        status = 200
        try:
            model = self._admit(scope["method"], request)
            message = await receive()
            if message.get("more_body") or b"content-encoding" in request or "body" not in message:
                body = await finish_body(message, receive, request, self._limit)
            else:
                body = message["body"]
                if len(body) > self._limit:
                    raise BodyTooLarge(self._limit)
            if desk.in_flight >= self._most:
                raise Overloaded(self._most)
            running = 1
            desk.in_flight += 1
            self._in_flight.value += 1
            call = self._parse(model, request, body)
            allowed = call.timeout
            if allowed is None:
                allowed = self._allowed if b"x-request-timeout" not in request else seconds_allowed(request)
            if self._in_executor:
                arrays = await self._run_in_thread(model, call, began, allowed)
            else:
                arrays = self._run_here(model, call, began, allowed)
            body, headers = self._write(model, call, arrays, request_id)
            if b"accept-encoding" in request and headers[0] is JSON:
                body, more = compressed(body, request)
                headers += more
            self._answered.value += 1
        except RequestError as error:
            status, body, headers = self._refused(error, request_id)
        except Disconnected:
            return
        except Exception as error:
            desk.log.write("error", f"{type(error).__name__}: {error}", request=request_id.decode(), model=self._name)
            status, body, headers = 500, INTERNAL, [JSON]
            self._count(500)
        finally:
            desk.in_flight -= running
            self._in_flight.value -= running
            desk.touched = ended = perf_counter()
        self._seconds.observe(ended - began)
        self._complete(headers, request, request_id, len(body), status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _complete(
        self, headers: Headers, request: Mapping[bytes, bytes], request_id: bytes, length: int, status: int
    ) -> None:
        """Add to what describes the body the headers that every prediction has."""
        desk = self._desk
        headers += self._headers
        headers.append((b"content-length", b"%d" % length))
        if desk.draining or b"traceparent" in request:
            headers += desk.common_headers(request_id, request)
        else:
            headers.append((b"x-request-id", request_id))
        if desk.server_timing is not None and status == 200:
            headers.append((b"server-timing", desk.server_timing))
            desk.server_timing = None

    def _admit(self, method: str, request: Mapping[bytes, bytes]) -> Model:
        """Refuse what need not be read to be refused."""
        if method != "POST":
            raise MethodNotAllowed(method, ("POST",))
        if self._model is None:
            raise ModelNotReady(self._name, self._broken)
        if self._desk.in_flight >= self._most:
            raise Overloaded(self._most)
        check_length(request, self._limit)
        return self._model

    def _run_here(self, model: Model, call: Call, began: float, allowed: float) -> list[Array]:
        start = perf_counter()
        if start - began > allowed:
            raise DeadlineExceeded(allowed)
        arrays = model.run(call.outputs, call.feeds)
        self._run_seconds.observe(perf_counter() - start)
        self._rows.observe(model.rows(call.feeds))
        return arrays

    async def _run_in_thread(self, model: Model, call: Call, began: float, allowed: float) -> list[Array]:
        """Run where the event loop stays free. A run that takes too long is given up, not stopped: that cannot be."""
        asked = perf_counter()

        def run() -> list[Array]:
            start = perf_counter()
            self._queue_seconds.observe(start - asked)
            arrays = model.run(call.outputs, call.feeds)
            self._run_seconds.observe(perf_counter() - start)
            self._rows.observe(model.rows(call.feeds))
            return arrays

        future = asyncio.get_running_loop().run_in_executor(self._desk.threads, run)
        if allowed == inf:
            return await future
        left = allowed - (asked - began)
        try:
            return await asyncio.wait_for(future, left)
        except TimeoutError:
            raise DeadlineExceeded(allowed) from None

    def _refused(self, error: RequestError, request_id: bytes) -> tuple[int, bytes, Headers]:
        status = STATUS[type(error)]
        self._count(status)
        reason = REASONS.get(type(error))
        if reason is not None:
            self._desk.metrics.refused.value(self._name, reason).value += 1
        if status == 500:
            self._desk.log.write("error", str(error), request=request_id.decode(), model=self._name)
        return status, error_body(error), error_headers(error)

    def _count(self, status: int) -> None:
        self._desk.metrics.requests.value(*self._of_model, self._protocol, str(status)).value += 1

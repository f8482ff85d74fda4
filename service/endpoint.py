"""
Predictions of one model by one protocol: a plain function from a complete request to a response.

A caller (the ASGI application, or an HTTP protocol that answers by itself) does, in this order:

1. when the head is complete: `in_flight.value += 1`, and `check`: what it returns is the response;
2. when the body is complete: the endpoint itself, with the complete request;
3. when the response is written, or the client went away: `in_flight.value -= 1`.
"""

from collections.abc import Awaitable, Mapping
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from snooze.bundle.errors import InvalidRow
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service.errors import (
    BodyTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotReady,
    Overloaded,
    RequestError,
)
from snooze.service.messages import Call, Headers, Pending, Request, Response
from snooze.service.metrics import Histogram, Value
from snooze.service.protocols.tensors import Array, Signature
from snooze.service.requests import decompress, read_timeout
from snooze.service.responses import INTERNAL, JSON, REASONS, compress, error_response
from snooze.service.runtime.repository import Entry
from snooze.service.runtime.scheduler import Scheduler
from snooze.service.state import ServerState

if TYPE_CHECKING:
    from snooze.bundle.adapters.interface import Adapter

TEXT_BYTES: Final = 72  # what a short string takes as an object, and its place in an array


class Codec(Protocol):
    """A protocol of predictions: the modules `protocols.v2`, `protocols.v1` and `protocols.plain`, or an alias."""

    PROTOCOL: str

    def decode(self, signature: Signature, headers: Mapping[bytes, bytes], body: bytes, query: bytes = b"") -> Call:
        """Return what a request asks for; raises InvalidRequest, InvalidTensor or InvalidRow."""

    def estimate_memory(self, signature: Signature, headers: Mapping[bytes, bytes], body: bytes, enough: int) -> int:
        """
        Return the most bytes that `decode` allocates at its peak, beside the body itself.

        If a bound that takes no time is at most `enough` bytes, it may be returned. May raise as `decode` does.
        """

    def encode(self, signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
        """Return the body of a response and the headers that describe it; raises NotInJson."""


class Endpoint:
    """Answers the predictions of one model by one protocol."""

    def __init__(self, state: ServerState, entry: Entry, codec: Codec, scheduler: Scheduler | None) -> None:
        """Without a `scheduler` the model cannot answer, and every request is refused with the entry's error."""
        self._state = state
        self._name = entry.name
        self._signature = None if entry.model is None else entry.model.signature()
        self.scheduler = scheduler
        self._error = str(entry.error)
        self._protocol = codec.PROTOCOL
        self._decode = codec.decode
        self._encode = codec.encode
        self._estimate_memory = codec.estimate_memory
        self._max_body = state.max_body
        self._budget = state.budget
        self._seconds = state.settings.timeout or inf
        self._labels = (entry.name, str(entry.version))
        metrics = state.metrics
        self.in_flight = metrics.in_flight.value(*self._labels)
        self._last = metrics.last.setdefault(self._labels, Value())
        self._answered = metrics.requests.value(*self._labels, codec.PROTOCOL, "200")
        self._request_seconds: Histogram = metrics.seconds.histogram(*self._labels, codec.PROTOCOL)
        self._headers: Headers = [(b"snooze-model", entry.name.encode()), (b"snooze-version", b"%d" % entry.version)]
        if state.settings.revision:
            self._headers.append((b"snooze-revision", state.settings.revision.encode()))

    def check(self, method: str, headers: dict[bytes, bytes], arrived: float) -> Response | None:
        """Return the refusal of a request whose head alone shows that it cannot be answered, otherwise None."""
        error: RequestError
        if method != "POST":
            error = MethodNotAllowed(method, ("POST",))
        elif self.scheduler is None:
            error = ModelNotReady(self._name, self._error)
        elif int(headers.get(b"content-length", 0)) > self._max_body:
            error = BodyTooLarge(self._max_body)
        else:
            return None
        return self.refuse(error, headers, arrived)

    def __call__(self, request: Request) -> Response | Pending:
        """Answer a request that passed `check`."""
        headers = request.headers
        request_id = self._state.request_id(headers)
        body = request.body
        try:
            if b"content-encoding" in headers:
                body = self._decompress(headers, body)
            elif len(body) > self._max_body:
                raise BodyTooLarge(self._max_body)
            assert self._signature is not None
            if (1 + MEMORY_FACTOR) * len(body) > self._budget.limit - self._budget.used:
                self._check_memory(headers, body)
            call = self._decode(self._signature, headers, body, request.query)
            if call.timeout is None:
                call.timeout = read_timeout(headers) if b"x-request-timeout" in headers else 0.0
            if call.raw is None:
                return self._submit(request, request_id, call, body)
            return self._adapt(request, request_id, call, body)
        except Exception as error:
            return self._fail(error, headers, request.arrived, request_id)

    def _submit(self, request: Request, request_id: bytes, call: Call, body: bytes) -> Response | Pending:
        assert self.scheduler is not None
        arrays = self.scheduler.submit(call, request.began, call.timeout or self._seconds)
        if type(arrays) is list:
            return self._respond(request, request_id, call, arrays)
        # What waits is the call; the body is kept only as far as its arrays are parts of it.
        finish = self._finish(request._replace(body=b""), request_id, call, arrays)  # type: ignore[arg-type]
        return Pending(finish, _size(call.feeds, body))

    def _adapt(self, request: Request, request_id: bytes, call: Call, body: bytes) -> Response | Pending:
        """Make the inputs of the raw rows, here or in a thread, and submit them."""
        assert self._signature is not None
        adapter = self._signature.adapter
        assert adapter is not None
        assert call.raw is not None
        estimate = adapter.estimate(call.raw)
        needed = len(body) + estimate.memory
        free = 0 if estimate.is_long else self._budget.limit - self._budget.used - needed
        needed += self._estimate_memory(self._signature, request.headers, body, free)  # the raw rows are still there
        self._claim(needed)
        if estimate.is_long:
            return Pending(self._adapt_in_thread(adapter, request._replace(body=b""), request_id, call), needed)
        call.feeds = adapter.apply(call.raw)
        return self._submit(request, request_id, call, body)

    async def _adapt_in_thread(self, adapter: "Adapter", request: Request, request_id: bytes, call: Call) -> Response:
        try:
            raw, call.raw = call.raw, None  # not kept while the model runs
            assert raw is not None
            seconds = call.timeout or self._seconds
            call.feeds = await self._state.adapting.run(adapter.apply, raw, request.began, seconds)
            del raw
            response = self._submit(request, request_id, call, b"")
            return response if isinstance(response, Response) else await response.response
        except Exception as error:
            return self._fail(error, request.headers, request.arrived, request_id)

    def refuse(self, error: RequestError, headers: dict[bytes, bytes], arrived: float) -> Response:
        """Return the response to a request that is not passed to the endpoint."""
        return self._fail(error, headers, arrived, self._state.request_id(headers))

    def _decompress(self, headers: Mapping[bytes, bytes], body: bytes) -> bytes:
        free = self._budget.limit - self._budget.used
        try:
            return decompress(body, headers[b"content-encoding"], min(free, self._max_body))
        except BodyTooLarge:
            if free < self._max_body:
                raise Overloaded(self._budget.problem) from None
            raise

    def _check_memory(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        """
        Check that a request can be decoded within the budget.

        Raises:
            BodyTooLarge: it could not even if it were the only one.
            Overloaded: it does not fit now.
        """
        assert self._signature is not None
        free = self._budget.limit - self._budget.used
        needed = len(body) + self._estimate_memory(self._signature, headers, body, free)
        if self._signature.texts:
            needed *= 2  # while an answer of texts is written, those of the request are still there
        self._claim(needed)

    def _claim(self, needed: int) -> None:
        if needed > self._budget.limit:
            raise BodyTooLarge(self._budget.limit, f"the memory that this body needs ({needed} bytes)")
        if needed > self._budget.limit - self._budget.used:
            raise Overloaded(self._budget.problem)

    async def _finish(
        self, request: Request, request_id: bytes, call: Call, arrays: Awaitable[list[Array]]
    ) -> Response:
        try:
            return self._respond(request, request_id, call, await arrays)
        except Exception as error:
            del arrays  # it holds the error, and the error's traceback this frame: a cycle that would hold the body
            return self._fail(error, request.headers, request.arrived, request_id)

    def _respond(self, request: Request, request_id: bytes, call: Call, arrays: list[Array]) -> Response:
        assert self._signature is not None
        body, headers = self._encode(self._signature, call, arrays, request_id)
        if b"accept-encoding" in request.headers:
            body, more = compress(body, request.headers, headers[0] is not JSON)
            headers += more
        if self._state.server_timing is not None:
            headers.append((b"server-timing", self._state.server_timing))
            self._state.server_timing = None
        self._answered.value += 1
        return self._complete(200, headers, body, request.headers, request.arrived, request_id)

    def _fail(self, error: Exception, headers: dict[bytes, bytes], arrived: float, request_id: bytes) -> Response:
        if isinstance(error, InvalidRow):
            error = InvalidRequest(str(error))
        if isinstance(error, RequestError):
            status, described, body = error_response(error)
            reason = REASONS.get(type(error))
            if reason is not None:
                self._state.metrics.refused.value(self._name, reason).value += 1
            message = str(error)
        else:
            status, described, body = 500, [JSON], INTERNAL
            message = f"{type(error).__name__}: {error}"
        if status == 500:
            self._state.log.write("error", message, request=request_id.decode(), model=self._name)
        self._state.metrics.requests.value(*self._labels, self._protocol, str(status)).value += 1
        self._state.metrics.failed.histogram(*self._labels).observe(perf_counter() - arrived)
        return self._complete(status, described, body, headers, arrived, request_id)

    def _complete(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        request: Mapping[bytes, bytes],
        arrived: float,
        request_id: bytes,
    ) -> Response:
        """Add the headers of every prediction to those that describe the body."""
        headers += self._headers
        headers.append((b"content-length", b"%d" % len(body)))
        if self._state.draining or b"traceparent" in request:
            headers += self._state.common_headers(request_id, request)
        else:
            headers.append((b"x-request-id", request_id))
        self._last.value = now = perf_counter()
        self._request_seconds.observe(now - arrived)
        return Response(status, headers, body)


def _size(feeds: Mapping[str, Array], body: bytes) -> int:
    """Return the bytes that a decoded request holds; an array of strings points to objects of its own."""
    size = len(body)
    for array in feeds.values():
        size += array.nbytes if array.dtype.kind != "O" else TEXT_BYTES * array.size + len(body)
    return size

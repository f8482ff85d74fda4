"""
One client's connection: HTTP/1.1 between a socket and the endpoints. uvicorn makes it (`http=`), httptools parses.

* Predictions and probes are answered here, from complete requests; all other requests go to the ASGI application.
* Requests are answered in the order in which they came. While one waits for its answer, or the client does not read,
  nothing more is read from the connection, and what came already waits.
* Answers leave at the end of the turn of the event loop in which they were made, those of one connection in one system
  call. So a client on the same machine, as Knative's queue-proxy is, is woken once and not for each answer.
* A turn of the event loop that takes long leaves the rest of its requests to the next turns, some milliseconds each:
  who asks then is answered between them.
* No request pays for a timer: the server calls `check` about once a second, which ends connections that are idle, and
  those whose client is too slow to send or to read.
* What a request holds from one turn of the event loop to the next counts in the server's budget.
"""

import asyncio
import re
from collections import deque
from time import perf_counter
from typing import Any, Final, NamedTuple, cast

import httptools

from snooze.service.app import Application
from snooze.service.endpoint import Endpoint
from snooze.service.errors import (
    BodyTooLarge,
    HeadTooLarge,
    InvalidRequest,
    Overloaded,
    RequestError,
    RequestTimeout,
    TooManyConnections,
)
from snooze.service.http.asgi import ask
from snooze.service.http.linger import Discarder
from snooze.service.messages import Handler, Pending, Request, Response
from snooze.service.responses import INTERNAL, JSON, error_response, status_line

TURN: Final = 0.02  # seconds of one turn of the event loop after which further requests wait for another
KEEP_ALIVE: Final = 75.0  # seconds to wait for the next request
FIRST_REQUEST: Final = 1.0  # seconds for the first request of a connection, while stopping or waking up
NEXT_REQUEST: Final = 0.3  # seconds for the next request of a connection, while stopping
MIN_RATE: Final = 16_384  # bytes that buy a slow client one more second
READ_SIZE: Final = 2**17  # bytes of one read
HIGH_WATER: Final = 2**14  # bytes of unsent answers from which on a client counts as one that does not read
JOINED: Final = 2**16  # bytes of a body up to which it is copied behind its head
MAX_HEAD: Final = 2**14  # bytes, counted from the second packet of a head on
MAX_HEADERS: Final = 128
MAX_HOSTS: Final = 64  # remembered
CHUNK_BYTES: Final = 8  # bytes on the wire for one of a body, in the smallest chunks
RESPONSE: Final = 512  # bytes that an answer takes beside its body
WAITING: Final = 2048  # bytes that a request takes beside its body while it waits for its turn

IDLE, HEAD, BODY = range(3)  # what has come of the next request

HOST: Final = re.compile(rb"[^\s,/?#@]*")  # may be empty, as RFC 9112 has it for a target without an authority
CLOSE: Final = (b"connection", b"close")


class Shared:
    """What all connections of one server share. One buffer is enough: what was read is parsed at once."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.state = app.state
        self.budget = app.state.budget
        self.buffer = memoryview(bytearray(READ_SIZE))
        self._default: object = None
        self._lines = b""
        self.hosts: set[bytes | None] = set()  # some that are valid
        self.turn = 0.0  # when this turn of the loop read its first bytes; 0 if it has read none
        self._unsent: list[Connection] = []
        self._deferred: deque[Connection] = deque()

    def format_default(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return uvicorn's default headers as they are sent. It makes a new list each second, for the date."""
        if headers is not self._default:
            self._default = headers
            self._lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        return self._lines

    def keep_host(self, host: bytes) -> None:
        """Note a valid host, so that it is not checked with every request."""
        if len(self.hosts) < MAX_HOSTS:
            self.hosts.add(host)

    def defer(self, connection: "Connection", loop: asyncio.AbstractEventLoop) -> None:
        """Continue with a connection in one of the next turns of the loop."""
        if not self._deferred:
            loop.call_soon(self._resume, loop)
        self._deferred.append(connection)

    def _resume(self, loop: asyncio.AbstractEventLoop) -> None:
        end = perf_counter() + TURN
        while self._deferred and perf_counter() < end:
            self._deferred.popleft().resume()
        if self._deferred:
            loop.call_soon(self._resume, loop)

    def send_later(self, connection: "Connection", loop: asyncio.AbstractEventLoop) -> None:
        """Send the answers of a connection at the end of this turn of the loop."""
        if not self.turn:
            self.begin_turn(loop)
        self._unsent.append(connection)

    def begin_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note when this turn began: uvloop's own time goes on during a turn."""
        self.turn = perf_counter()
        loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self.turn = 0.0
        connections, self._unsent = self._unsent, []
        for connection in connections:
            connection.send()


class Exchange(NamedTuple):
    """A complete request and what answers it: the refusal if there is one, otherwise the target, otherwise ASGI."""

    request: Request
    target: Endpoint | Handler | None
    refusal: Response | None
    keep_alive: bool

    @property
    def size(self) -> int:
        """Bytes that it takes while it waits."""
        return WAITING + len(self.request.body)


class Ended(Exception):
    """What follows the last request of a connection is nobody's."""


class Connection(asyncio.BufferedProtocol):
    """One client's connection. uvicorn gives all arguments but the first."""

    # fmt: off
    __slots__ = (
        "_answers", "_answers_size", "_arrived", "_began", "_charged", "_discarder", "_fresh", "_headers", "_is_last",
        "_loop", "_method", "_parser", "_parts", "_path", "_paused", "_query", "_received", "_refusal", "_server_state",
        "_shared", "_since", "_size", "_started", "_state", "_target", "_task", "_transport", "_unparsed", "_unsent",
        "_url", "_waiting",
    )
    # fmt: on

    def __init__(
        self,
        shared: Shared,
        config: object,
        server_state: Any,
        app_state: object,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._shared = shared
        self._server_state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[Exchange] = deque()
        self._task: tuple[asyncio.Task[Response], Exchange, int] | None = None  # with its bytes in the budget
        self._discarder: Discarder | None = None
        self._state = IDLE
        self._headers: dict[bytes, bytes] = {}
        self._target: Endpoint | Handler | None = None
        self._refusal: Response | None = None  # the answer to the request that is arriving, whatever its rest is
        self._is_last = False  # no request is expected after those that have come
        self._paused = False  # the client does not read
        self._unparsed = 0  # bytes of a body that the parser would take for the next request
        self._charged = 0  # bytes in the budget for the request that is arriving
        self._unsent = 0  # bytes in the budget for answers
        self._started = False  # whether a request has come
        self._parts: list[bytes] = []
        self._since = self._loop.time()  # since when the client is awaited, to ask, to send or to read

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many connections."""
        self._transport = cast(asyncio.Transport, transport)
        self._answers: list[bytes] = []  # to be sent at the end of this turn
        self._answers_size = 0
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self._server_state.connections.add(self)
        limit = self._shared.state.settings.max_connections
        if len(self._server_state.connections) > limit:
            self._refuse(TooManyConnections(limit))
            self._end().hurry()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes are to be read to."""
        return self._shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read, answer the requests that it completes, and count what it leaves behind."""
        if not self._shared.turn:
            self._shared.begin_turn(self._loop)
        was_busy = self._task is not None or self._paused or self._waiting
        try:
            self._parse(self._shared.buffer[:nbytes])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Ended):
                raise  # a fault of ours
            return
        except httptools.HttpParserError:
            if self._state == IDLE:
                if self._is_last:
                    return  # what follows a last request is nobody's
                self._state = HEAD
                self._refusal = None  # that of the request before
            if self._refusal is None:
                self._refuse(InvalidRequest("this is not a valid HTTP request"))
        if self._state != IDLE:
            self._hold(nbytes)
        if was_busy or self._waiting or self._paused:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Send what is answered. What is not is given up: most clients that end a connection are gone."""
        self.send()

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read."""
        self._paused = True
        self._since = self._loop.time()
        self._unsent = self._transport.get_write_buffer_size()
        self._shared.budget.used += self._unsent

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._paused = False
        self._shared.budget.used -= self._unsent
        self._unsent = 0
        self.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is not answered."""
        self._server_state.connections.discard(self)
        self._answers = []
        self._shared.budget.used -= self._unsent
        self._unsent = 0
        if self._task is not None:
            self._task[0].cancel()
            self._leave(self._end_task().target)
        while self._waiting:
            self._leave(self._take().target)
        self._forget()
        self._parser = None  # it refers to us: without this cycle all is freed at once

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._is_last:
            raise Ended
        self._state = HEAD
        self._url = b""
        self._headers = {}
        self._parts = []
        self._size = self._received = 0
        self._refusal = None
        self._fresh = self._started = True
        self._began = self._since = self._shared.turn

    def on_url(self, url: bytes) -> None:
        """Add a part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers, which follow a body, do not become headers."""
        if self._state == HEAD:
            name = name.lower()
            if name in self._headers:
                value = self._headers[name] + b", " + value  # of two hosts it makes one that is refused
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Find what answers, and refuse what cannot be answered whatever the body is."""
        self._state = BODY
        self._arrived = perf_counter()
        self._query = b""
        self._path = self._url.decode("latin-1")
        self._target = self._shared.app.find(self._path)
        method = self._parser.get_method()
        self._method = "POST" if method == b"POST" else method.decode()
        if self._parser.should_upgrade():
            self._unparsed = -1  # known when the parser has come to the end of the head
        if self._target is None:
            self._split_target()
        target = self._target
        headers = self._headers
        if type(target) is Endpoint:
            target.in_flight.value += 1
            self._refusal = target.check(self._method, headers, self._arrived)
        if len(headers) > MAX_HEADERS:
            self._refuse(HeadTooLarge(MAX_HEAD, MAX_HEADERS))
        elif int(headers.get(b"content-length", 0)) > self._shared.state.max_body:
            self._refuse(BodyTooLarge(self._shared.state.max_body))
        if headers.get(b"host") not in self._shared.hosts or b"transfer-encoding" in headers or b"expect" in headers:
            self._check_unusual()

    def _check_unusual(self) -> None:
        """Refuse what no client of ours means: a missing host, another transfer coding. Ask for a body if asked to."""
        headers = self._headers
        is_old = self._parser.get_http_version() == "1.0"
        host = headers.get(b"host", b"" if is_old else b" ")
        if HOST.fullmatch(host):
            self._shared.keep_host(host)
        else:
            self._is_last = True
            self._refuse(InvalidRequest("expected one Host header with a host"))
            return
        if headers.get(b"transfer-encoding", b"chunked").strip(b" \t,").lower() != b"chunked":
            self._is_last = True
            self._refuse(InvalidRequest("the only supported Transfer-Encoding is chunked"))
        elif is_old and b"transfer-encoding" in headers:
            self._is_last = True  # who knows HTTP/1.0 only may have passed it on without knowing what it means
        elif is_old or headers.get(b"expect", b"").lower() != b"100-continue":
            return
        elif self._refusal is None and not self._is_busy():
            self._answers.append(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.send()

    def on_body(self, part: bytes) -> None:
        """Add a part of the body."""
        self._size += len(part)
        if self._refusal is None:
            if self._size <= self._shared.state.max_body:
                self._parts.append(part)
            else:
                self._parts = []
                self._refuse(BodyTooLarge(self._shared.state.max_body))

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for its turn."""
        if self._unparsed:
            return
        parts, target = self._parts, self._target
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        request = Request(self._method, self._path, self._headers, body, self._arrived, self._began, self._query)
        keep_alive = self._parser.should_keep_alive() and not self._is_last
        self._is_last = not keep_alive
        self._state = IDLE
        self._parts = []
        self._target = None  # it may be replaced while the connection is idle, and is in memory no longer then
        if self._charged:
            self._shared.budget.used -= self._charged
            self._charged = 0
        if self._is_busy():
            self._let_wait(Exchange(request, target, self._refusal, keep_alive))
        elif self._arrived - self._shared.turn > TURN:
            self._let_wait(Exchange(request, target, self._refusal, keep_alive))
            self._shared.defer(self, self._loop)
        else:
            self._answer(request, target, self._refusal, keep_alive)

    # What the server calls

    def check(self, now: float, patience: float, rate: float = MIN_RATE) -> None:
        """
        End the connection if its client has been awaited for too long; `now` is the loop's time.

        A client that has begun to send a request, or to read an answer, has `patience` seconds for the rest, and one
        more for each `rate` bytes that it has sent or read.
        """
        waited = now - self._since
        if self._discarder is not None or self._task is not None or (self._waiting and not self._paused):
            return
        if self._transport.is_closing() or self._paused:
            read = max(0, self._unsent - self._transport.get_write_buffer_size())
            if waited > patience + read / rate:
                self._transport.abort()
        elif self._state != IDLE:
            allowed = patience + self._received / rate
            if waited >= allowed:
                self._refuse(RequestTimeout("head" if self._state == HEAD else "body", allowed))
                self._end()
        elif waited >= KEEP_ALIVE:
            self._transport.close()

    def stop(self, waited: float) -> None:
        """Close if that loses nothing. The server has been stopping for `waited` seconds; call it repeatedly."""
        if self._discarder is not None:
            self._discarder.hurry()
            return
        patience = NEXT_REQUEST if self._started else FIRST_REQUEST
        if self._state == IDLE and not self._is_busy() and waited >= patience:
            self._transport.close()

    def reads_body(self) -> bool:
        """Return whether the body of a request is still arriving and its answer depends on it."""
        return self._state == BODY and self._refusal is None

    # From a complete request to its written answer

    def _answer(
        self,
        request: Request,
        target: Endpoint | Handler | None,
        refusal: Response | None,
        keep_alive: bool,
    ) -> None:
        response: Response | Pending
        if refusal is not None:
            response = refusal
        elif target is not None:
            response = target(request)
        else:
            addresses = {name: self._transport.get_extra_info(f"{name}name") for name in ("peer", "sock")}
            response = Pending(ask(self._shared.app, request, addresses), len(request.body))
        if isinstance(response, Response):
            self._write(response, request.method, target, keep_alive)
            return
        task = self._loop.create_task(response.response)
        self._task = task, Exchange(request._replace(body=b""), target, None, keep_alive), response.size
        self._shared.budget.used += response.size
        task.add_done_callback(self._finish)

    def _finish(self, task: "asyncio.Task[Response]") -> None:
        """Write the answer of a task, unless the client is gone."""
        if self._task is None:
            return
        exchange = self._end_task()
        error = task.exception()
        if error is None:
            response = task.result()
        else:
            self._shared.state.log.write("error", f"{type(error).__name__}: {error}", path=exchange.request.path)
            response = self._shared.app.complete(exchange.request.headers, Response(500, [JSON], INTERNAL))
        self._write(response, exchange.request.method, exchange.target, exchange.keep_alive)
        self.resume()

    def _end_task(self) -> Exchange:
        assert self._task is not None
        _, exchange, size = self._task
        self._task = None
        self._shared.budget.used -= size
        return exchange

    def _write(self, response: Response, method: str, target: Endpoint | Handler | None, keep_alive: bool) -> None:
        status, headers, body = response
        lines = [status_line(status), self._shared.format_default(self._server_state.default_headers)]
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        keep_alive = keep_alive and not self._shared.state.draining
        if not keep_alive and CLOSE not in headers:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if method == "HEAD":
            body = b""
        if not self._answers:
            self._shared.send_later(self, self._loop)
        if len(body) <= JOINED:
            lines.append(body)
            self._answers.append(b"".join(lines))
        else:
            self._answers += (b"".join(lines), body)
        self._answers_size += RESPONSE + len(body)
        if self._answers_size > HIGH_WATER or not keep_alive:
            self.send()
        self._leave(target)
        self._since = self._loop.time()
        if not keep_alive and self._discarder is None:
            self._transport.close()

    def send(self) -> None:
        """Send the answers that have not been sent yet."""
        if self._answers:
            answers, self._answers, self._answers_size = self._answers, [], 0
            if len(answers) == 1:
                self._transport.write(answers[0])
            else:
                self._transport.writelines(answers)

    def _leave(self, target: Endpoint | Handler | None) -> None:
        if type(target) is Endpoint:
            target.in_flight.value -= 1
            self._shared.state.touched = perf_counter()

    def _let_wait(self, exchange: Exchange) -> None:
        """Keep a request until those before it are answered; it is the last one if there is no memory for it."""
        budget = self._shared.budget
        if budget.has(exchange.size):
            budget.used += exchange.size
            self._waiting.append(exchange)
            return
        self._leave(exchange.target)
        self._refuse(Overloaded(budget.problem))
        self._state = HEAD  # as if its rest did not come: it is refused in its turn, and the connection closed
        self._is_last = True

    def _take(self) -> Exchange:
        """Return the request that has waited longest."""
        exchange = self._waiting.popleft()
        self._shared.budget.used -= exchange.size
        return exchange

    def resume(self) -> None:
        """Answer what waits, as far as possible in this turn; read again when all is answered."""
        end = perf_counter() + TURN
        while self._waiting and self._task is None and not self._paused:
            if perf_counter() > end:
                self._shared.defer(self, self._loop)
                return
            self._answer(*self._take())
        if self._is_busy() or self._transport.is_closing() or self._discarder is not None:
            return
        self._since = self._loop.time()
        if self._state != IDLE and self._refusal is not None:
            self._end()
        else:
            self._transport.resume_reading()

    def _is_busy(self) -> bool:
        """Return whether the next request has to wait: for an answer, or for the client to read one."""
        return self._task is not None or self._paused or bool(self._waiting)

    # A request that is not complete, or cannot be answered

    def _parse(self, data: memoryview) -> None:
        """Pass bytes to the parser, but not the body after an offer to upgrade: it would be the next request."""
        while True:
            if self._unparsed > 0:
                part = data[: self._unparsed]
                self._unparsed -= len(part)
                self.on_body(bytes(part))
                if self._unparsed:
                    return
                self.on_message_complete()
                data = data[len(part) :]
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                # curl --http2 and Java's HttpClient offer HTTP/2 in each request. It is not taken.
                data = data[offer.args[0] :]
                if self._method == "CONNECT" or b"transfer-encoding" in self._headers:
                    raise httptools.HttpParserError from None
                self._unparsed = int(self._headers.get(b"content-length", 0))
                if not self._unparsed:
                    self.on_message_complete()

    def _split_target(self) -> None:
        """Find what answers a target that is not simply a path, or leave it to the application."""
        try:
            url = httptools.parse_url(self._url)
            path = (url.path or b"").decode()
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            self._refuse(InvalidRequest("the target of the request is not a valid URL"))
            return
        self._query = url.query or b""
        if "%" in path:
            from urllib.parse import unquote

            path = unquote(path)
        self._path = path
        self._target = self._shared.app.find(path)

    def _hold(self, size: int) -> None:
        """Count the bytes of a request that is not complete, and refuse what takes too many."""
        if not self._fresh:
            self._received += size
        self._fresh = False
        budget = self._shared.budget
        if self._state == BODY:
            size *= 2  # the body is made of its parts
        if self._refusal is None:
            # Behind the head there are also the lengths of chunks, of which each byte of a body may have one.
            head = self._received - CHUNK_BYTES * self._size
            if head > MAX_HEAD or (self._state == HEAD and len(self._headers) > MAX_HEADERS):
                self._refuse(HeadTooLarge(MAX_HEAD, MAX_HEADERS))
            elif not budget.has(size):
                self._refuse(Overloaded(budget.problem))
            else:
                budget.used += size
                self._charged += size
        if self._refusal is not None and not self._is_busy():
            self._end()

    def _refuse(self, error: RequestError) -> None:
        self._refusal = self._make_refusal(error)

    def _make_refusal(self, error: RequestError) -> Response:
        if self._state == BODY and type(self._target) is Endpoint:
            return self._target.refuse(error, self._headers, self._arrived)
        return self._shared.app.complete(self._headers, error_response(error))

    def _end(self) -> Discarder:
        """Write the refusal of a request whose rest is not awaited, and close when the client has read it."""
        assert self._refusal is not None
        target = self._target if self._state == BODY else None
        self._state = IDLE
        self._forget()
        self._is_last = True
        self._discarder = Discarder(self._transport, self._loop, self.connection_lost)
        self._write(self._refusal, "", target, False)
        self._transport.write_eof()
        return self._discarder

    def _forget(self) -> None:
        """Drop a request that is not complete."""
        self._shared.budget.used -= self._charged
        self._charged = 0
        self._parts = []
        if self._state == BODY:
            self._leave(self._target)
        self._target = None
        self._state = IDLE

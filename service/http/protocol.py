"""
uvicorn's HTTP protocol, hardened against clients that are slow, stop half-way or send something else.

* The rest of a head or body is waited for only so long, then answered 408. No request pays for a timer: the server
  calls `refuse_if_late` about once a second.
* A head that does not end is answered 431, and what is not HTTP 400, both in the form of every error.
* An offer to upgrade to HTTP/2 is removed from the head: httptools would lose the body that follows it.
* Headers after a chunked body (trailers) do not become headers of the request.
"""

import asyncio
import re
from typing import Final, Literal, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from snooze.service.http.transport import JoiningTransport

UPGRADE: Final = re.compile(rb"(?i)\r\nupgrade:[ \t]*h2c[ \t]*(?=\r|$)")
UPGRADE_WITHIN: Final = 2048  # bytes of a head in which the offer is looked for
MAX_HEAD: Final = 65_536  # bytes, counted from the second packet of a head on
KEEP_ALIVE: Final = 75  # seconds to wait for the next request
READ_TIMEOUT: Final = 10.0  # seconds to wait for the rest of a head or body
MIN_RATE: Final = 16_384  # bytes of a body that buy one more second


class Connection(HttpToolsProtocol):
    """One client's connection."""

    _partial_head: object = None
    _head_size = 0
    _body_size = 0
    _awaited: tuple[str | None, object, int] = (None, None, 0)
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a transport that joins the head and body of a response."""
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport, self)))

    def data_received(self, data: bytes) -> None:
        """Parse a packet; limit the size of heads, which uvicorn does not."""
        # curl --http2 and Java's HttpClient offer HTTP/2 in each request.
        if data.find(b"h2c", 0, UPGRADE_WITHIN) >= 0 and (self.cycle is None or not self.cycle.more_body):
            head, end, rest = data.partition(b"\r\n\r\n")
            data = UPGRADE.sub(b"", head) + end + rest
        super().data_received(data)
        if self.reads_head():
            # The first packet may hold the end of another request, so it does not count.
            self._head_size = self._head_size + len(data) if self._partial_head is self.scope else 0
            self._partial_head = self.scope
            if self._head_size > MAX_HEAD:
                self._refuse(431, "Request Header Fields Too Large", f"the head is larger than {MAX_HEAD} bytes")
        elif self.cycle is not None and self.cycle.more_body:
            self._body_size += len(data)

    def on_chunk_header(self) -> None:
        """Keep trailers out of the request's headers, to which httptools would add them."""
        self.headers = []

    def on_message_complete(self) -> None:
        """Note the end of a body, which uvicorn does not after an early answer."""
        self.cycle.more_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP in the form of every error."""
        self._refuse(400, "Bad Request", "this is not a valid HTTP request")

    def on_response_complete(self) -> None:
        """Write a head that no body followed: the response to a HEAD request."""
        cast(JoiningTransport, self.transport).flush()
        super().on_response_complete()

    def reads_head(self) -> bool:
        """Return whether a head has begun and not ended: uvicorn makes its scope first, and its cycle at the end."""
        scope, cycle = self.scope, self.cycle
        return scope is not None and (cycle is None or cycle.scope is not scope)

    def reads_body(self) -> bool:
        """Return whether the body of a request is still arriving and its answer depends on it."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete and not cycle.disconnected

    def refuse_if_late(self, now: float, timeout: float = READ_TIMEOUT) -> None:
        """
        Answer 408 and close if the rest of a request has been awaited too long.

        Call it periodically: the wait counts from the first call that finds the same part of the same request
        missing. `now` is the loop's time. A body has one more second for each `MIN_RATE` bytes that came since.
        """
        awaited = self._find_awaited()
        if awaited is None or self._awaited[:2] != (awaited, self.cycle):
            self._awaited, self._since = (awaited, self.cycle, self._body_size), now
            return
        received = self._body_size - self._awaited[2]
        allowed = {"head": timeout, "body": timeout + received / MIN_RATE, "request": KEEP_ALIVE}[awaited]
        if now - self._since < allowed:
            return
        if awaited == "request":
            self.transport.close()
        else:
            self._refuse(408, "Request Timeout", f"the {awaited} of the request did not come within {allowed:.3g} s")

    def _find_awaited(self) -> Literal["head", "body", "request"] | None:
        """Return what the client has to send next; None while it waits for us, or uvicorn's own timer runs."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return "body" if self.reads_body() and not self.pipeline else None  # a pipelined request is not read
        if self.reads_head():
            return "head"
        return "request" if self.timeout_keep_alive_task is None else None

    def _refuse(self, status: int, phrase: str, problem: str) -> None:
        if self.transport.is_closing():
            return
        body = f'{{"error":"{problem}"}}'
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        cast(JoiningTransport, self.transport).linger()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application need not wait for the rest
            self.cycle.message_event.set()

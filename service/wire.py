"""
uvicorn's HTTP protocol, with what a server on the open road needs beside it.

* Head and body of an answer leave in one system call. uvicorn writes them apart, and the client is woken twice: on a
  small answer that is a fifth of all the time it takes.
* An answer that comes before the request was read whole is not lost: a socket that is closed with unread data sends a
  reset, which destroys what its client has not read yet. So the rest is read, and dropped.
* Nobody is waited for without end: `late` is asked now and then, which costs a request nothing.
"""

import asyncio
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING or find_spec("httptools"):
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
else:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Base

OFFER: Final = re.compile(rb"(?i)\r\nupgrade:[ \t]*h2c[ \t]*(?=\r|$)")
LONGEST_OFFER: Final = 2048
LONGEST_HEAD: Final = 65_536
KEEP_ALIVE: Final = 75  # seconds for a connection on which nothing comes
PATIENCE: Final = 10.0  # seconds for the rest of a head or body, and so long after an answer for what we do not want
SLOWEST: Final = 16_384  # bytes of a body that buy a second more
SHORT_LINGER: Final = 0.3  # seconds, where the server stops
MOST_DROPPED: Final = 256 * 2**20


class Protocol(Base):
    """One connection."""

    _head_size = 0
    _body_size = 0
    _awaited: tuple[str, object, int] = ("nothing", None, 0)
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a transport that waits for the body before it writes the head."""
        super().connection_made(cast(asyncio.Transport, Joining(transport, self)))

    def data_received(self, data: bytes) -> None:
        """Take no notice of an offer to speak HTTP/2: httptools would lose the body that comes with it."""
        # curl --http2 and Java's client offer it with each request.
        if data.find(b"h2c", 0, LONGEST_OFFER) >= 0 and self._awaits_a_head():
            head, end, rest = data.partition(b"\r\n\r\n")
            data = OFFER.sub(b"", head) + end + rest
        super().data_received(data)
        if self._awaits_a_head():
            # All this is the head of a request, or part of it, and nobody else limits that.
            self._head_size += len(data)
            if self._head_size > LONGEST_HEAD:
                self._refuse(431, "Request Header Fields Too Large", f"the head is larger than {LONGEST_HEAD} bytes")
        else:
            self._head_size = 0
            if self.cycle.more_body:
                self._body_size += len(data)

    def on_chunk_header(self) -> None:
        """Keep what comes after the chunks out of the headers, to which httptools would add it."""
        self.headers = []

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the form that every error has."""
        self._refuse(400, "Bad Request", "this is not a valid HTTP request")

    def on_response_complete(self) -> None:
        """Write a head that no body followed: HEAD asks for just that."""
        cast(Joining, self.transport).flush()
        super().on_response_complete()

    def receives(self) -> bool:
        """Return whether the body of a request is on its way."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_started and not cycle.disconnected

    def shutdown(self) -> None:
        """Close as soon as nothing is lost by it."""
        super().shutdown()
        cast(Joining, self.transport).hurry()

    def refuse_if_late(self, now: float, patience: float = PATIENCE) -> None:
        """
        Answer 408 if we have waited too long for the rest of a request, and close.

        To be called now and then: what we wait for is late if it was the same for so long, by `now` in seconds. A
        body has a second more for each `SLOWEST` bytes that came since.
        """
        awaited = self._what_is_awaited()
        if awaited == "nothing" or self._awaited[:2] != (awaited, self.cycle):
            self._awaited, self._since = (awaited, self.cycle, self._body_size), now
            return
        came = self._body_size - self._awaited[2]
        allowed = {"body": patience + came / SLOWEST, "head": patience, "request": KEEP_ALIVE}[awaited]
        if now - self._since < allowed:
            return
        if awaited == "request":
            self.transport.close()
        else:
            self._refuse(408, "Request Timeout", f"the {awaited} of the request did not come within {allowed:.3g} s")

    def _what_is_awaited(self) -> str:
        if self.receives():
            return "body"
        if self._head_size and self._awaits_a_head():
            return "head"
        if self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None):
            return "request"
        return "nothing"  # it is being answered, or uvicorn itself waits for the next one

    def _awaits_a_head(self) -> bool:
        """Return whether no request is being read or answered, so that the next byte belongs to a head."""
        cycle = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body)

    def _refuse(self, status: int, phrase: str, problem: str) -> None:
        if self.transport.is_closing():
            return
        body = f'{{"error":"{problem}"}}'
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        cast(Joining, self.transport).linger()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # who waits for the rest need not wait any longer
            self.cycle.message_event.set()


class Joining:
    """
    A transport that holds the head of an answer back until its body comes, and does not close in the face of a client
    that still sends. Everything else goes straight on.
    """

    __slots__ = ("_head", "_lingering", "_protocol", "_transport")

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._head = b""
        self._lingering: Lingering | None = None

    def write(self, data: bytes) -> None:
        """Hold a head; write anything else, after the head if there is one."""
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write the head if it is still here."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._lingering is not None or self._transport.is_closing()

    def close(self) -> None:
        """Write what is left, and close: at once, or when the client has been able to read the answer."""
        cycle = self._protocol.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body and not self.is_closing():
            self.linger()
            return
        self.flush()
        self._transport.close()

    def linger(self) -> None:
        """Write what is left and no more, and drop what comes until the client closes, or for `PATIENCE` seconds."""
        self.flush()
        self._lingering = Lingering(self._protocol, self._transport)
        self._transport.set_protocol(self._lingering)
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def hurry(self) -> None:
        """Drop what comes for `SHORT_LINGER` seconds at most."""
        if self._lingering is not None:
            self._lingering.end_within(SHORT_LINGER)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Lingering(asyncio.Protocol):
    """A connection of which nothing is wanted any more, until its client knows that."""

    def __init__(self, protocol: Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._left = MOST_DROPPED
        self._loop = protocol.loop
        self._end = self._loop.call_later(PATIENCE, transport.close)

    def end_within(self, seconds: float) -> None:
        """Close after so long, or sooner."""
        if self._end.when() > self._loop.time() + seconds:
            self._end.cancel()
            self._end = self._loop.call_later(seconds, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """Drop it."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the server forget the connection."""
        self._end.cancel()
        self._protocol.connection_lost(exc)

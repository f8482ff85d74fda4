"""
uvicorn's HTTP protocol, but head and body of an answer leave in one system call.

uvicorn writes them apart, and the client is woken twice: on a small answer that is a fifth of all the time it takes.
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


class Protocol(Base):
    """One connection."""

    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a transport that waits for the body before it writes the head."""
        super().connection_made(cast(asyncio.Transport, Joining(transport)))

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
            if self._head_size > LONGEST_HEAD and not self.transport.is_closing():
                self._refuse(431, "Request Header Fields Too Large", f"the head is larger than {LONGEST_HEAD} bytes")
        else:
            self._head_size = 0

    def _awaits_a_head(self) -> bool:
        """Return whether no request is being read or answered, so that the next byte belongs to a head."""
        cycle = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the form that every error has."""
        self._refuse(400, "Bad Request", "this is not a valid HTTP request")

    def on_response_complete(self) -> None:
        """Write a head that no body followed: HEAD asks for just that."""
        cast(Joining, self.transport).flush()
        super().on_response_complete()

    def _refuse(self, status: int, phrase: str, problem: str) -> None:
        body = f'{{"error":"{problem}"}}'
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        self.transport.close()


class Joining:
    """A transport that holds the head of an answer back until its body comes. Everything else goes straight on."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

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

    def close(self) -> None:
        """Write what is left, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

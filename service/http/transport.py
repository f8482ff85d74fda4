"""
The transport below uvicorn's protocol.

* The head and body of a response leave in one system call. uvicorn writes them one after the other, which wakes the
  client twice: a fifth of the time of a small response.
* A response that is sent before its request was read completely still arrives. Closing a socket with unread data
  sends a reset, which destroys what the client has not read yet; so the rest is read and discarded first.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from snooze.service.http.protocol import Connection

LINGER: Final = 10.0  # seconds for which the rest of a request is discarded
LINGER_WHILE_STOPPING: Final = 0.3
MAX_DISCARDED: Final = 256 * 2**20  # bytes


class JoiningTransport:
    """
    A transport that holds the head of a response back until its body is written, and closes only when the client has
    been able to read the response. All else is passed on.
    """

    __slots__ = ("_connection", "_discarder", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        self._transport = transport
        self._connection = connection
        self._head = b""
        self._discarder: Discarder | None = None

    def write(self, data: bytes) -> None:
        """Hold a head back; write anything else, after the head if there is one."""
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write the head if it is held back."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._discarder is not None or self._transport.is_closing()

    def close(self) -> None:
        """Write what is held back and close; linger if the client still sends."""
        cycle = self._connection.cycle
        if self._discarder is not None:
            self._discarder.end_within(LINGER_WHILE_STOPPING)
        elif cycle is not None and cycle.response_complete and cycle.more_body and not self.is_closing():
            self.linger()
        else:
            self.flush()
            self._transport.close()

    def linger(self) -> None:
        """Write what is held back and an end of file; discard what comes until the client closes, or `LINGER` ends."""
        self.flush()
        self._discarder = Discarder(self._connection, self._transport)
        self._transport.set_protocol(self._discarder)
        self._transport.resume_reading()
        self._transport.write_eof()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Discarder(asyncio.Protocol):
    """The protocol of a connection whose response is written: it reads until the client closes."""

    def __init__(self, connection: "Connection", transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._left = MAX_DISCARDED
        self._loop = connection.loop
        self._end = self._loop.call_later(LINGER, transport.close)

    def end_within(self, seconds: float) -> None:
        """Close after `seconds` at the latest."""
        if self._end.when() > self._loop.time() + seconds:
            self._end.cancel()
            self._end = self._loop.call_later(seconds, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """Discard it."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the server forget the connection."""
        self._end.cancel()
        self._connection.connection_lost(exc)

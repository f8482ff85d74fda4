"""
uvicorn's HTTP protocol, but head and body of an answer leave in one system call.

uvicorn writes them apart, and the client is woken twice: on a small answer that is a fifth of all the time it takes.
"""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING or find_spec("httptools"):
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
else:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Base


class Protocol(Base):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a transport that waits for the body before it writes the head."""
        super().connection_made(cast(asyncio.Transport, Joining(transport)))

    def on_response_complete(self) -> None:
        """Write a head that no body followed: HEAD asks for just that."""
        cast(Joining, self.transport).flush()
        super().on_response_complete()


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

"""
Close so that the answer arrives: closing a socket with unread data sends a reset, which destroys what the client has
not read yet. So the rest of a request is read and discarded first.
"""

import asyncio
from collections.abc import Callable
from typing import Final

LINGER: Final = 10.0  # seconds for which the rest of a request is discarded
HURRIED: Final = 0.3  # seconds, where the server stops or has too many clients
MAX_DISCARDED: Final = 256 * 2**20  # bytes


class Discarder(asyncio.Protocol):
    """
    The protocol of a connection whose last answer is written: it reads until the client closes.

    `lost` is called with the end of the connection, at the latest after `LINGER`.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, lost: Callable[[Exception | None], None]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._lost = lost
        self._left = MAX_DISCARDED
        self._end = loop.call_later(LINGER, transport.abort)
        transport.set_protocol(self)
        transport.resume_reading()

    def hurry(self) -> None:
        """Close after `HURRIED` at the latest."""
        if self._end.when() > self._loop.time() + HURRIED:
            self._end.cancel()
            self._end = self._loop.call_later(HURRIED, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Discard it."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the server forget the connection."""
        self._end.cancel()
        self._lost(exc)

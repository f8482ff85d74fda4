import asyncio

import pytest
from tests.service.http.connections import Pair, converse, until

from snooze.service.http import transport
from snooze.service.http.transport import JoiningTransport

EARLY = b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


class Recording(asyncio.Transport):
    """Notes each system call's worth of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note one write."""
        self.writes.append(bytes(data))


def test_head_and_body_leave_together() -> None:
    below = Recording()
    joining = JoiningTransport(below, None)  # type: ignore[arg-type]
    joining.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    joining.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert below.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    joining.write(b"body")
    joining.write(b"more")

    assert below.writes == [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nbody", b"more"]


def test_an_early_response_reaches_a_client_that_sends_everything_first() -> None:
    async def talk(pair: Pair) -> None:
        pair.writer.write(EARLY % 20_000_000)
        pair.writer.write(b" " * 20_000_000)
        await pair.writer.drain()

        assert await pair.response() == (200, b"")
        assert await pair.reader.read() == b""

    converse(talk)


async def send_until_reset(pair: Pair) -> None:
    """Send until the server closes the connection, while its response stays unread."""
    await pair.send(EARLY % 10**12)
    while True:
        pair.writer.write(b" " * 1000)
        try:
            await pair.writer.drain()
        except ConnectionError:
            return
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(("limit", "value"), [("LINGER", 0.05), ("MAX_DISCARDED", 10_000)])
def test_a_client_that_never_stops_sending_is_dropped(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(transport, "LINGER", 1e6)
    monkeypatch.setattr(transport, limit, value)

    converse(send_until_reset)


def test_a_server_that_stops_lingers_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER", 1e6)
    monkeypatch.setattr(transport, "LINGER_WHILE_STOPPING", 0.05)

    async def talk(pair: Pair) -> None:
        await pair.send(EARLY % 10)
        pair.connection.shutdown()
        await until(lambda: not pair.connection.connections)
        assert await pair.response() == (200, b"")

    converse(talk)


def test_a_server_that_stops_still_lets_a_client_read_an_early_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER_WHILE_STOPPING", 1e6)

    async def talk(pair: Pair) -> None:
        await pair.send(EARLY % 20_000_000)
        await until(lambda: pair.connection.transport.is_closing())
        for _ in range(3):
            pair.connection.shutdown()
        pair.writer.write(b" " * 20_000_000)
        await pair.writer.drain()
        assert await pair.response() == (200, b"")

    converse(talk)

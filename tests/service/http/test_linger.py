import asyncio

import pytest
from tests.service.http.connections import Pair, converse, until

from snooze.service.http import linger

# Answered 413 as soon as its head has come.
EARLY = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
SETTINGS = {"max_body": 1000}


def test_an_early_response_reaches_a_client_that_sends_everything_first() -> None:
    async def talk(pair: Pair) -> None:
        pair.writer.write(EARLY % 20_000_000)
        pair.writer.write(b" " * 20_000_000)
        await pair.writer.drain()

        assert (await pair.response())[0] == 413
        assert await pair.reader.read() == b""

    converse(talk, **SETTINGS)


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
    monkeypatch.setattr(linger, "LINGER", 1e6)
    monkeypatch.setattr(linger, limit, value)

    converse(send_until_reset, **SETTINGS)


def test_a_server_that_stops_lingers_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linger, "LINGER", 1e6)
    monkeypatch.setattr(linger, "HURRIED", 0.05)

    async def talk(pair: Pair) -> None:
        await pair.send(EARLY % 1001)
        pair.connection.stop(0)
        await until(pair.is_lost)

    converse(talk, **SETTINGS)


def test_a_server_that_stops_still_lets_a_client_read_an_early_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linger, "HURRIED", 1e6)

    async def talk(pair: Pair) -> None:
        await pair.send(EARLY % 20_000_000)
        await until(lambda: pair.is_closing())
        for _ in range(3):
            pair.connection.stop(0)
        pair.writer.write(b" " * 20_000_000)
        await pair.writer.drain()
        assert (await pair.response())[0] == 413

    converse(talk, **SETTINGS)

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from tests.knative.bundles import a_bundle

from snooze.benchmarks.robustness import attackers
from snooze.benchmarks.robustness.attackers import Outcomes, Target, connected, find_held, find_max_body

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

ANSWER = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
SMALL = 0.002


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 413 as Snooze does, to anything."""
    await reader.read(100)
    body = b'{"error":"the body is larger than 5000 bytes; send fewer rows"}'
    writer.write(ANSWER % (413, len(body), body))
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without an answer."""
    await reader.read(10)
    writer.close()


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read everything and never answer."""
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass
    writer.close()


def attack(serve: Serve, client: Callable[[Target], Awaitable[Any]]) -> Any:
    """Run `client` against a server of this process."""

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            return await client(Target(server.sockets[0].getsockname()[1], a_bundle(), 5000, SMALL))
        finally:
            server.close()

    return asyncio.run(run())


def test_the_largest_body_is_what_the_refusal_says() -> None:
    assert attack(refuse, lambda target: find_max_body(target.port, target.bundle)) == 5000
    assert attack(hang_up, lambda target: find_max_body(target.port, target.bundle)) == attackers.FALLBACK_MAX_BODY


@pytest.mark.parametrize(
    "client",
    [
        attackers.bomb_with_json_strings,
        attackers.bomb_with_binary_strings,
        attackers.bomb_with_gzip,
        attackers.send_largest_bodies,
        attackers.send_slow_bodies,
        attackers.send_huge_heads,
        attackers.send_tiny_chunks,
        attackers.send_endless_trailers,
        attackers.send_deep_json,
        attackers.send_many_tensors,
    ],
)
def test_each_client_gets_an_outcome(client: Callable[[Target], Awaitable[Outcomes]]) -> None:
    outcomes = attack(refuse, client)

    assert outcomes.keys() <= {"413", "reset", "closed"}
    assert outcomes.total() > 0


def test_a_client_that_gets_no_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attackers, "SLOW_SECONDS", 1)
    monkeypatch.setattr(attackers, "READ_SECONDS", 1)
    monkeypatch.setattr(attackers, "IDLE_SECONDS", 0.1)

    assert attack(hang_up, attackers.send_slow_heads) == {"closed": 2}
    assert attack(hold, attackers.send_slow_heads) == {"open": 2}
    assert attack(hold, attackers.read_slowly) == {"open": 2}
    assert attack(hang_up, attackers.read_slowly) == {"dropped": 2}
    assert attack(hold, attackers.stay_idle) == {"idle": 4}
    assert attack(refuse, attackers.ask_for_little_pipelined) == {"413": 1, "closed": 1}


def test_a_refused_connection_is_counted() -> None:
    async def client(target: Target) -> Outcomes:
        return await attackers.send_deep_json(target._replace(port=1))

    assert attack(hold, client) == {"refused": 7}


def test_finds_connections_that_are_held() -> None:
    async def client(target: Target) -> None:
        async with connected(target) as peer:
            assert peer is not None
            await peer.send(b"x")
            await asyncio.sleep(0.05)
            ours = peer.writer.get_extra_info("sockname")[1]
            assert find_held(target.port) == {ours}
        await asyncio.sleep(0.05)
        assert find_held(target.port) == set()

    attack(hold, client)

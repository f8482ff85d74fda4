import asyncio

import pytest
from tests.service.http.connections import Pair, converse, until

from snooze.service.http import transport
from snooze.service.http.protocol import KEEP_ALIVE, MAX_HEAD, MIN_RATE, READ_TIMEOUT

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: 5\r\n\r\nwhole"
HALF_HEAD = HEAD + b"Content-"
HALF_BODY = HEAD + b"Content-Length: 9\r\n\r\nhalf"


def late(part: str, seconds: str = "10") -> bytes:
    return f'{{"error":"the {part} of the request did not come within {seconds} s"}}'.encode()


@pytest.mark.parametrize(
    ("part", "packets"),
    [
        ("head", [HALF_HEAD]),
        ("head", [b"P"]),
        ("head", [HEAD, b"More: "]),
        ("body", [HALF_BODY]),
        ("body", [HEAD + b"Content-Length: 9\r\n\r\n"]),
        ("body", [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nha\r\n"]),
    ],
)
@pytest.mark.parametrize("before", [[], [WHOLE], [WHOLE + WHOLE]])
def test_half_a_request_is_answered_408(part: str, packets: list[bytes], before: list[bytes]) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(*before)
        for _ in range(b"".join(before).count(HEAD)):
            assert await pair.response() == (200, b"whole")
        await pair.send(*packets)
        pair.wait(READ_TIMEOUT - 0.1)
        assert not pair.connection.transport.is_closing()

        pair.wait(READ_TIMEOUT)
        pair.wait(READ_TIMEOUT)  # answered once

        assert await pair.response() == (408, late(part))
        assert await pair.reader.read() == b""

    converse(talk)


@pytest.mark.parametrize(("part", "half"), [("head", HALF_HEAD), ("body", HALF_BODY)])
@pytest.mark.parametrize("apart", [True, False])
def test_half_a_request_is_awaited_only_once_the_previous_one_is_answered(part: str, half: bytes, apart: bool) -> None:
    """The previous answer is made slowly on purpose: the half arrives before it, and no 408 may overtake it."""

    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(*([WHOLE, half] if apart else [WHOLE + half]))
        pair.wait(10 * READ_TIMEOUT)
        pair.app.gate.set()
        assert await pair.response() == (200, b"whole")
        pair.wait(READ_TIMEOUT - 0.1)
        assert not pair.connection.transport.is_closing()

        pair.wait(READ_TIMEOUT)

        assert await pair.response() == (408, late(part))

    converse(talk)


def test_a_request_that_arrives_in_halves_is_answered() -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(WHOLE, HALF_HEAD)
        pair.app.gate.set()
        assert await pair.response() == (200, b"whole")
        pair.wait(READ_TIMEOUT / 2)
        await pair.send(b"Length: 4\r\n\r\nha")
        pair.wait(READ_TIMEOUT / 2)
        await pair.send(b"lf")
        assert await pair.response() == (200, b"half")
        pair.wait(READ_TIMEOUT)
        assert not pair.connection.transport.is_closing()

    converse(talk)


def test_a_body_that_keeps_arriving_has_more_time() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
        now = pair.connection.loop.time()
        pair.connection.refuse_if_late(now)
        await pair.send(b"x" * 2 * MIN_RATE)
        pair.connection.refuse_if_late(now + READ_TIMEOUT + 1.9)
        assert not pair.connection.transport.is_closing()

        pair.connection.refuse_if_late(now + READ_TIMEOUT + 2)

        assert await pair.response() == (408, late("body", "12"))

    converse(talk)


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(sent)
        pair.wait(KEEP_ALIVE - 0.1)
        assert not pair.connection.transport.is_closing()

        pair.wait(KEEP_ALIVE)

        assert await pair.reader.read() == b""

    converse(talk)


def test_what_is_not_http_is_answered_400() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"this is\r\nnot HTTP\r\n\r\n")
        assert await pair.response() == (400, b'{"error":"this is not a valid HTTP request"}')
        assert await pair.reader.read() == b""

    converse(talk)


@pytest.mark.parametrize("before", [b"", WHOLE])
def test_a_head_without_end_is_answered_431(before: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(before + HEAD + b"X: ", b"x" * (MAX_HEAD - 1), b"xx")
        if before:
            assert (await pair.response())[0] == 200
        assert await pair.response() == (431, b'{"error":"the head is larger than 65536 bytes"}')

    converse(talk)


def test_many_heads_together_may_be_larger_than_one() -> None:
    request = HEAD + b"X: " + b"x" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n"

    async def talk(pair: Pair) -> None:
        for _ in range(3):
            await pair.send(request[:20_000], request[20_000:])
            assert await pair.response() == (200, b"")

    converse(talk)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize("early", [False, True])
def test_an_offer_of_http2_is_not_taken(early: bool) -> None:
    async def talk(pair: Pair) -> None:
        if early:  # answered before its body came; uvicorn itself does not notice the end of such a body
            await pair.send(HEAD.replace(b"echo", b"early") + b"Content-Length: 9\r\n\r\n")
            assert await pair.response() == (200, b"")
            await pair.send(b"nine byte")
        await pair.send(HEAD + OFFER + b"Content-Length: 5\r\n\r\nwhole")
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_an_offer_of_http2_in_a_body_is_left_in_it() -> None:
    body = b"\r\n\r\nUpgrade: h2c\r\n"

    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body)
        assert await pair.response() == (200, body)

    converse(talk)


@pytest.mark.parametrize("apart", [True, False])
def test_trailers_do_not_become_headers(apart: bool) -> None:
    chunked = b"5\r\nwhole\r\n0\r\nX-Request-Id: evil\r\n\r\n"

    async def talk(pair: Pair) -> None:
        head = HEAD + b"Transfer-Encoding: chunked\r\nX-Request-Id: mine\r\n\r\n"
        await pair.send(*([head, chunked[:-20], chunked[-20:]] if apart else [head + chunked]))
        assert await pair.response() == (200, b"whole")
        ((_, headers, _),) = pair.app.requests
        assert headers[b"x-request-id"] == b"mine"

    converse(talk)


def test_the_body_is_asked_for_with_100_continue() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert await pair.response() == (100, b"")
        await pair.send(b"whole")
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_head_is_answered_with_a_head() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await pair.response(bodiless=True) == (200, b"")
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_a_refused_request_ends_for_the_application_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER", 1e6)  # it ends before the connection does

    async def talk(pair: Pair) -> None:
        await pair.send(HALF_BODY)
        assert pair.connection.reads_body()
        pair.wait(READ_TIMEOUT)
        assert not pair.connection.reads_body()
        await until(lambda: not pair.connection.tasks)
        assert pair.app.requests == []
        assert (await pair.response())[0] == 408
        assert await pair.reader.read() == b""

    converse(talk)


def test_requests_in_one_packet_are_answered_in_order() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"".join(HEAD + b"Content-Length: 1\r\n\r\n%d" % number for number in range(5)))
        assert [(await pair.response())[1] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        await asyncio.sleep(0)
        pair.wait(READ_TIMEOUT)  # uvicorn's own timer waits for the next request
        assert not pair.connection.transport.is_closing()

    converse(talk)

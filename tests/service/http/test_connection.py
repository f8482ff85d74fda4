import asyncio
import time

import pytest
from tests.service.http.connections import PATIENCE, Pair, connect, converse, until

from snooze.service.http.connection import HIGH_WATER, KEEP_ALIVE, MAX_HEAD, MAX_HEADERS, MIN_RATE, NEXT_REQUEST

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: 5\r\n\r\nwhole"
HALF_HEAD = HEAD + b"Content-"
HALF_BODY = HEAD + b"Content-Length: 9\r\n\r\nhalf"
NOW = HEAD.replace(b"echo", b"now")


def late(part: str, seconds: str = "10") -> bytes:
    return f'{{"error":"the {part} of the request did not come within {seconds} s"}}'.encode()


@pytest.mark.parametrize("path", [b"now", b"echo"])
@pytest.mark.parametrize(
    "packets",
    [
        [WHOLE],
        [WHOLE[:9], WHOLE[9:30], WHOLE[30:-2], WHOLE[-2:]],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n", b"3\r\nole\r\n0\r\n\r\n"],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n"],
    ],
    ids=["at once", "in pieces", "chunks", "chunks at once"],
)
def test_a_request_is_answered_however_it_comes(path: bytes, packets: list[bytes]) -> None:
    async def talk(pair: Pair) -> None:
        for _ in range(2):
            await pair.send(*(packet.replace(b"echo", path) for packet in packets))
            assert await pair.response() == (200, b"whole")
        assert [(method, body) for method, _, body in pair.app.requests] == [("POST", b"whole")] * 2

    converse(talk)


@pytest.mark.parametrize(
    ("part", "packets"),
    [
        ("head", [HALF_HEAD]),
        ("head", [b"P"]),
        ("head", [HEAD, b"More: "]),
        ("body", [HALF_BODY]),
        ("body", [HEAD + b"Content-Length: 9\r\n\r\n"]),
        ("body", [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nha\r\n"]),
        ("body", [NOW + b"Content-Length: 9\r\n\r\n"]),
    ],
)
@pytest.mark.parametrize("before", [[], [WHOLE], [WHOLE + WHOLE]])
def test_half_a_request_is_answered_408(part: str, packets: list[bytes], before: list[bytes]) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(*before)
        for _ in range(b"".join(before).count(HEAD)):
            assert await pair.response() == (200, b"whole")
        await pair.send(*packets)
        pair.wait(PATIENCE - 0.5)
        assert not pair.is_closing()

        pair.wait(PATIENCE)
        pair.wait(PATIENCE)  # answered once

        assert await pair.response() == (408, late(part))
        assert await pair.reader.read() == b""

    converse(talk)


@pytest.mark.parametrize(("part", "half"), [("head", HALF_HEAD), ("body", HALF_BODY)])
@pytest.mark.parametrize("apart", [True, False])
def test_half_a_request_is_awaited_only_once_the_previous_one_is_answered(part: str, half: bytes, apart: bool) -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(*([WHOLE, half] if apart else [WHOLE + half]))
        pair.wait(10 * PATIENCE)
        pair.app.gate.set()
        assert await pair.response() == (200, b"whole")
        pair.wait(PATIENCE - 0.5)
        assert not pair.is_closing()

        pair.wait(PATIENCE)

        assert await pair.response() == (408, late(part))

    converse(talk)


def test_a_request_that_arrives_in_halves_is_answered() -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(WHOLE, HALF_HEAD)
        pair.app.gate.set()
        assert await pair.response() == (200, b"whole")
        await pair.send(b"Length: 4\r\n\r\nha")
        await pair.send(b"lf")
        assert await pair.response() == (200, b"half")

    converse(talk)


def test_a_body_that_keeps_arriving_has_more_time() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
        await pair.send(b"x" * 2 * MIN_RATE)
        pair.wait(PATIENCE + 1.5)
        assert not pair.is_closing()

        pair.wait(PATIENCE + 2)

        assert await pair.response() == (408, late("body", "12"))

    converse(talk)


@pytest.mark.parametrize("sent", [b"", b"\r\n", WHOLE])
def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(sent)
        if sent == WHOLE:
            await pair.response()
        pair.wait(KEEP_ALIVE - 0.5)
        assert not pair.is_closing()

        pair.wait(KEEP_ALIVE)

        assert await pair.reader.read() == b""

    converse(talk)


@pytest.mark.parametrize(
    "sent", [b"this is\r\nnot HTTP\r\n\r\n", b"\0", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
@pytest.mark.parametrize("before", [b"", WHOLE])
def test_what_is_not_http_is_answered_400_in_its_turn(sent: bytes, before: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(before + sent)
        if before:
            assert await pair.response() == (200, b"whole")
        assert await pair.response() == (400, b'{"error":"this is not a valid HTTP request"}')
        assert await pair.reader.read() == b""

    converse(talk)


@pytest.mark.parametrize("target", [b"CONNECT x:1", b"GET x:y", b"GET /\xff"])
def test_a_target_that_is_no_path_is_answered_400(target: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await pair.response())[0] == 400

    converse(talk)


@pytest.mark.parametrize("target", [b"/now?a=1", b"http://x/now", b"/n%6fw"])
def test_a_target_may_have_a_query_a_host_and_escapes(target: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(
            b"POST " + target.replace(b"echo", b"now").replace(b"e%63ho", b"n%6fw") + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert await pair.response() == (200, b"")
        assert len(pair.app.requests) == 1

    converse(talk)


@pytest.mark.parametrize("before", [b"", WHOLE])
@pytest.mark.parametrize(
    "rest", [[b"X: ", b"x" * (MAX_HEAD - 1), b"xx"], [b"".join(b"X%d: 1\r\n" % i for i in range(MAX_HEADERS + 1))]]
)
def test_a_head_without_end_is_answered_431(before: bytes, rest: list[bytes]) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(before + HEAD, *rest)
        if before:
            assert (await pair.response())[0] == 200
        assert await pair.response() == (
            431,
            b'{"error":"the head is larger than 16384 bytes or has more than 128 headers"}',
        )

    converse(talk)


def test_a_complete_head_with_too_many_headers_is_answered_431() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"".join(b"X%d: 1\r\n" % i for i in range(MAX_HEADERS)) + b"\r\n")
        assert (await pair.response())[0] == 431

    converse(talk)


def test_many_heads_together_may_be_larger_than_one() -> None:
    request = HEAD + b"X: " + b"x" * 10_000 + b"\r\nContent-Length: 0\r\n\r\n"

    async def talk(pair: Pair) -> None:
        for _ in range(3):
            await pair.send(request[:5_000], request[5_000:])
            assert await pair.response() == (200, b"")

    converse(talk)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("path", [b"now", b"echo"])
def test_an_offer_of_http2_is_not_taken(path: bytes, pieces: int) -> None:
    request = (HEAD + OFFER + b"Content-Length: 5\r\n\r\nwhole").replace(b"echo", path)
    size = -(-len(request) // pieces)

    async def talk(pair: Pair) -> None:
        await pair.send(*(request[i : i + size] for i in range(0, len(request), size)))
        assert await pair.response() == (200, b"whole")
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_an_offer_with_a_body_in_chunks_is_refused() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + OFFER + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert (await pair.response())[0] == 400

    converse(talk)


@pytest.mark.parametrize("apart", [True, False])
def test_trailers_become_headers_of_no_request(apart: bool) -> None:
    chunked = b"5\r\nwhole\r\n0\r\nX-Request-Id: evil\r\n\r\n"

    async def talk(pair: Pair) -> None:
        head = HEAD + b"Transfer-Encoding: chunked\r\nX-Request-Id: mine\r\n\r\n"
        await pair.send(*([head, chunked[:-20], chunked[-20:]] if apart else [head + chunked]))
        assert await pair.response() == (200, b"whole")
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")
        first, second = (headers for _, headers, _ in pair.app.requests)
        assert first[b"x-request-id"] == b"mine"
        assert b"x-request-id" not in second

    converse(talk)


def test_the_body_is_asked_for_with_100_continue() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert await pair.response() == (100, b"")
        await pair.send(b"whole")
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_a_body_that_is_refused_is_not_asked_for() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 11\r\n\r\n")
        assert (await pair.response())[0] == 413

    converse(talk, max_body=10)


@pytest.mark.parametrize("path", [b"now", b"echo"])
def test_a_body_in_chunks_that_grows_too_large_is_refused(path: bytes) -> None:
    async def talk(pair: Pair) -> None:
        head = HEAD.replace(b"echo", path) + b"Transfer-Encoding: chunked\r\n\r\n"
        await pair.send(head, b"8\r\n12345678\r\n", b"3\r\n123\r\n")
        assert (await pair.response())[0] == 413
        assert pair.app.requests == []

    converse(talk, max_body=10)


@pytest.mark.parametrize("path", [b"now", b"echo"])
def test_head_is_answered_with_a_head(path: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"HEAD /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        assert await pair.response(bodiless=True) == (200, b"")
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")

    converse(talk)


@pytest.mark.parametrize("closing", [b"HTTP/1.1\r\nConnection: close", b"HTTP/1.0"])
@pytest.mark.parametrize("path", [b"now", b"echo"])
def test_a_connection_is_closed_after_its_last_request(path: bytes, closing: bytes) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"GET /%s %s\r\nHost: x\r\n\r\nGET /" % (path, closing))  # what follows is nobody's
        head = await pair.reader.readuntil(b"\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in head
        assert await pair.reader.read() == b""

    converse(talk)


def test_requests_in_one_packet_are_answered_in_order() -> None:
    paths = [b"now", b"echo", b"now", b"now", b"echo", b"now"]

    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        requests = (HEAD.replace(b"echo", path) + b"Content-Length: 1\r\n\r\n%d" % i for i, path in enumerate(paths))
        await pair.send(b"".join(requests))
        assert await pair.response() == (200, b"0")
        pair.app.gate.set()
        assert [(await pair.response())[1] for _ in paths[1:]] == [b"1", b"2", b"3", b"4", b"5"]

    converse(talk)


@pytest.mark.parametrize("how", ["write_eof", "close", "abort"])
def test_a_client_that_is_gone_is_not_waited_for(how: str) -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(WHOLE)
        task = pair.connection._task
        assert task is not None
        getattr(pair.writer.transport, how)()
        await until(pair.is_lost)
        await until(task[0].done)
        assert task[0].cancelled()

    converse(talk)


def test_a_fault_of_the_application_is_answered_500() -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await pair.response())[0] == 500
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")

    converse(talk)


def test_a_long_turn_leaves_requests_to_the_next_so_that_others_are_answered() -> None:
    async def talk(pair: Pair) -> None:
        reader, writer = await asyncio.open_connection(*pair.writer.get_extra_info("peername"))
        pair.writer.write(WHOLE.replace(b"echo", b"busy") * 20)
        writer.write(NOW + b"Content-Length: 2\r\n\r\nme")
        await reader.readuntil(b"me")
        assert len(pair.app.requests) < 20
        assert [(await pair.response())[1] for _ in range(20)] == [b"whole"] * 20
        writer.close()

    converse(talk)


def test_a_client_that_does_not_read_is_dropped() -> None:
    async def talk(pair: Pair) -> None:
        pair.writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 8)  # more than the sockets' buffers hold
        await until(lambda: pair.connection._paused)
        assert pair.app.state.budget.used > HIGH_WATER
        answered = len(pair.app.requests)
        assert answered < 8
        pair.wait(PATIENCE - 0.5)
        assert not pair.is_closing()

        pair.wait(PATIENCE + 8 * 2**20 / MIN_RATE)

        await until(pair.is_lost)
        assert len(pair.app.requests) == answered  # the others were never run

    converse(talk)


def test_a_client_that_reads_slowly_gets_everything() -> None:
    async def talk(pair: Pair) -> None:
        pair.writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
        await until(lambda: pair.connection._paused)
        for _ in range(8):
            assert (await pair.response())[1] == bytes(2**20)
            pair.wait(PATIENCE - 0.5)

    converse(talk)


def test_what_stays_counts_in_the_budget() -> None:
    async def talk(pair: Pair) -> None:
        budget = pair.app.state.budget
        await pair.send(HEAD + b"Content-Length: 90000\r\n\r\n", b"x" * 40_000)
        assert 80_000 <= budget.used < 90_000
        await pair.send(b"x" * 40_000)
        status, body = await pair.response()
        assert (status, body) == (
            429,
            b'{"error":"the 140000 bytes that this server has for requests are in use; try again in 1 s"}',
        )
        assert budget.used == 0

    converse(talk, memory=140_000, max_body=100_000)


def test_the_request_for_which_there_is_no_memory_to_wait_is_the_last() -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(HEAD + b"Content-Length: 4\r\n\r\nheld", WHOLE * 50)
        assert pair.app.state.budget.used <= 70_000
        pair.app.gate.set()
        assert await pair.response() == (200, b"held")
        answers = 0
        while (status := (await pair.response())[0]) == 200:
            answers += 1
        assert 20 < answers < 50
        assert status == 429
        assert await pair.reader.read() == b""

    converse(talk, memory=70_000)


def test_one_connection_too_many_is_answered_503() -> None:
    async def talk(pair: Pair) -> None:
        reader, writer = await asyncio.open_connection(*pair.writer.get_extra_info("peername"))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        writer.close()
        await pair.send(WHOLE)
        assert await pair.response() == (200, b"whole")

    converse(talk, max_connections=1)


@pytest.mark.parametrize(("before", "waited"), [([], 1.0), ([WHOLE], NEXT_REQUEST)])
def test_a_server_that_stops_waits_shortly_for_requests(before: list[bytes], waited: float) -> None:
    async def talk(pair: Pair) -> None:
        await pair.send(*before)
        if before:
            await pair.response()
        pair.connection.stop(waited - 0.1)
        assert not pair.is_closing()
        pair.connection.stop(waited)
        assert await pair.reader.read() == b""

    converse(talk)


def test_a_server_that_stops_answers_what_was_asked() -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        await pair.send(WHOLE)
        pair.app.drain()
        pair.connection.stop(1e6)
        pair.app.gate.set()
        head = await pair.reader.readuntil(b"\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in head
        assert await pair.reader.read() == b"whole"

    converse(talk)


def test_the_clocks_of_the_loop_and_of_the_metrics_are_the_same() -> None:
    """Deadlines count from the loop's time and are compared with `perf_counter`."""

    async def compare() -> None:
        async with connect() as pair:
            await asyncio.sleep(0)
            assert abs(pair.connection._loop.time() - time.perf_counter()) < 10

    asyncio.run(compare())

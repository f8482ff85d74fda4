"""
What a server and a proxy in front of it could read differently, over a real socket to a real server.

A request is REFUSED (one 400, and the connection is closed, so that nothing after it is ever read as a request),
ANSWERED (it has one meaning, and the request after it is answered too), or AMBIGUOUS (RFC 9112 permits both). In no
case are there more answers than requests. Each is sent at once, and byte by byte.
"""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.servers import Server, serve
from tests.service.conftest import classifier, publish

pytestmark = pytest.mark.process

BODY = json.dumps([[0.5] * 30]).encode()
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(BODY)
NEXT = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
ALIVE = b'{"live":true}'
PATIENCE = 20.0  # seconds without a byte after which a connection counts as left open, which no test expects


def request(
    *lines: bytes, body: bytes = BODY, start: bytes = b"POST /predict HTTP/1.1", host: bytes = b"Host: x"
) -> bytes:
    """Return a request with these header lines; an empty `host` leaves it out."""
    return b"\r\n".join([start, *([host] if host else []), *lines]) + b"\r\n\r\n" + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """Return a request with these bytes as its chunked body."""
    return request(CHUNKED, *lines, body=body)


def get(
    *lines: bytes, target: bytes = b"/v2/health/live", version: bytes = b"HTTP/1.1", host: bytes = b"Host: x"
) -> bytes:
    """Return a request without a body."""
    return request(*lines, body=b"", start=b"GET " + target + b" " + version, host=host)


REFUSED = {
    # the length of the body
    "two lengths": request(LENGTH, b"Content-Length: 5"),
    "two lengths, the shorter first": request(b"Content-Length: 0", LENGTH),
    "a list of lengths": request(LENGTH + b", 5"),
    "length +": request(b"Content-Length: +%d" % len(BODY)),
    "length -": request(b"Content-Length: -1"),
    "length in hex": request(b"Content-Length: 0x%x" % len(BODY)),
    "length with a fraction": request(LENGTH + b".0"),
    "length with a space inside": request(b"Content-Length: 1 5"),
    "length with an underscore": request(b"Content-Length: 1_5"),
    "length with a parameter": request(LENGTH + b";a=b"),
    "length in other digits": request("Content-Length: ٣".encode()),
    "length without a value": request(b"Content-Length:"),
    "length of 2**64 + 5": request(b"Content-Length: 18446744073709551621"),
    "length and chunked": request(LENGTH, CHUNKED, body=CHUNKS),
    "chunked and length": request(CHUNKED, LENGTH, body=CHUNKS),
    "chunked and length 0": request(CHUNKED, b"Content-Length: 0", body=CHUNKS),
    "length and xchunked": request(LENGTH, b"Transfer-Encoding: xchunked"),
    "length and an empty coding": request(LENGTH, b"Transfer-Encoding:"),
    # transfer codings
    "chunked, identity": request(CHUNKED + b", identity", body=CHUNKS),
    "chunked, chunked": request(CHUNKED + b", chunked", body=CHUNKS),
    "chunked twice": request(CHUNKED, CHUNKED, body=CHUNKS),
    "chunked and another line": request(CHUNKED, b"Transfer-Encoding: identity", body=CHUNKS),
    "xchunked": request(b"Transfer-Encoding: xchunked", body=CHUNKS),
    "chunkedx": request(CHUNKED + b"x", body=CHUNKS),
    "chunked in quotes": request(b'Transfer-Encoding: "chunked"', body=CHUNKS),
    "chunked after a vertical tab": request(b"Transfer-Encoding: \x0bchunked", body=CHUNKS),
    "chunked after NUL": request(b"Transfer-Encoding: \x00chunked", body=CHUNKS),
    "chunked with a parameter": request(CHUNKED + b";q=1", body=CHUNKS),
    "chunked, folded": request(b"Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "length, folded": request(b"Content-Length:\r\n %d" % len(BODY)),
    # header lines
    "space before the colon": request(b"Transfer-Encoding : chunked", body=CHUNKS),
    "tab before the colon": request(b"Transfer-Encoding\t: chunked", body=CHUNKS),
    "space before the colon of a length": request(b"Content-Length : %d" % len(BODY)),
    "space in a name": request(b"Content Length: 5", LENGTH),
    "NUL in a name": request(b"Content-Length\x00: 5", LENGTH),
    "no name": request(b": 5", LENGTH),
    "no colon": request(b"Content-Length", LENGTH),
    "not ASCII in a name": request("Cöntent-Length: 5".encode(), LENGTH),
    "space before the first line": b"POST /predict HTTP/1.1\r\n Host: x\r\n" + LENGTH + b"\r\n\r\n" + BODY,
    "NUL in a value": request(b"X-Request-Id: a\x00b", LENGTH),
    "CR in a value": request(b"X-Request-Id: a\rContent-Length: 0", LENGTH),
    "LF in a value": request(b"X-Request-Id: a\nContent-Length: 0", LENGTH),
    "two hosts": request(b"Host: y", LENGTH),
    "no host": request(LENGTH, host=b""),
    "a host with a space": request(LENGTH, host=b"Host: a b"),
    # chunks
    "no size": chunked(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size that is not hex": chunked(b"g\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size -": chunked(b"-1\r\nx\r\n0\r\n\r\n"),
    "size +": chunked(b"+" + CHUNKS),
    "size 0x": chunked(b"0x" + CHUNKS),
    "size after a space": chunked(b" " + CHUNKS),
    "size before a space": chunked(b"%x \r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "size with an underscore": chunked(b"0_" + CHUNKS),
    "size of 2**64 + 5": chunked(b"10000000000000005\r\nwhole\r\n0\r\n\r\n"),
    "size that ends with LF": chunked(b"%x\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "size that ends with CR": chunked(b"%x\r%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "chunk longer than its size": chunked(b"%x\r\n%sx\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "chunk without its end": chunked(b"%x\r\n%s0\r\n\r\n" % (len(BODY), BODY)),
    "chunk that ends with LF": chunked(b"%x\r\n%s\n0\r\n\r\n" % (len(BODY), BODY)),
    "LF in an extension": chunked(b"%x;a=\n5\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "NUL in an extension": chunked(b"%x;a=\x00\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "space in a trailer's name": chunked(CHUNKS[:-2] + b"X y: z\r\n\r\n"),
    "LF in a trailer": chunked(CHUNKS[:-2] + b"X: y\nZ: z\r\n\r\n"),
    # start lines
    "two targets": get(target=b"/v2/health/live /v2"),
    "NUL in the target": get(target=b"/v2/health/\x00live"),
    "no target": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
    "relative target": get(target=b"v2/health/live"),
    "authority as target": request(LENGTH, start=b"POST x:80 HTTP/1.1"),
    "no version": b"GET /v2/health/live HTTP\r\nHost: x\r\n\r\n",
    "version without a dot": get(version=b"HTTP/11"),
    "other protocol": get(version=b"ICAP/1.0"),
    "method with a NUL": request(LENGTH, start=b"PO\x00ST /predict HTTP/1.1"),
    "method with a colon": request(LENGTH, start=b"POST: /predict HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
}
OTHER_REFUSALS = {  # also with another status: 405, 413, 431, 501 or 505
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 9.9": get(version=b"HTTP/9.9"),
    "tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
    "length that no memory holds": request(b"Content-Length: 999999999999999"),
    "a header of 1,000,000 bytes": get(b"X: " + b"a" * 1_000_000),
    "an extension of 1,000,000 bytes": chunked(b"5;" + b"a" * 1_000_000 + b"\r\nwhole\r\n0\r\n\r\n"),
    "trailers of 1,000,000 bytes": chunked(CHUNKS[:-2] + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n"),
}
ANSWERED: dict[str, tuple[bytes, set[int]]] = {
    "length": (request(LENGTH), {200}),
    "length with a zero before": (request(b"Content-Length: 0%d" % len(BODY)), {200}),
    "length among spaces and tabs": (request(b"Content-Length: \t %d \t" % len(BODY)), {200}),
    "length 0": (request(b"Content-Length: 0", body=b""), {400}),
    "neither length nor chunks": (request(body=b""), {400}),
    "chunked": (chunked(CHUNKS), {200}),
    "Chunked": (request(b"tRANSFER-eNCODING: cHUNKED", body=CHUNKS), {200}),
    "size with zeros before": (chunked(b"000" + CHUNKS), {200}),
    "last size with zeros": (chunked(b"%x\r\n%s\r\n000\r\n\r\n" % (len(BODY), BODY)), {200}),
    "extension": (chunked(b'%x;a=b;c="d e"\r\n%s\r\n0;f\r\n\r\n' % (len(BODY), BODY)), {200}),
    "many chunks": (chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"), {200}),
    "a request in the body": (request(b"Content-Length: %d" % len(NEXT), body=NEXT), {400}),
    "a request in a chunk": (chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(NEXT), NEXT)), {400}),
    "the end of chunks in the body": (request(b"Content-Length: 5", body=b"0\r\n\r\n"), {400}),
    "GET with a body": (request(b"Content-Length: 5", body=b"whole", start=b"GET /v2/health/live HTTP/1.1"), {200}),
    "GET with chunks": (request(CHUNKED, body=CHUNKS, start=b"GET /v2/health/live HTTP/1.1"), {200}),
    "an empty line before": (b"\r\n" + request(LENGTH), {200}),
    "absolute target": (request(LENGTH, start=b"POST http://x/predict HTTP/1.1"), {200}),
    "absolute target of another host": (request(LENGTH, start=b"POST http://y:81/predict HTTP/1.1"), {200}),
    "OPTIONS *": (request(body=b"", start=b"OPTIONS * HTTP/1.1"), {200, 204, 400, 404, 405}),
    "target with a query": (request(LENGTH, start=b"POST /predict?a=/v2&b=%00 HTTP/1.1"), {200}),
    "target with an escaped NUL": (get(target=b"/v2/health/%00live"), {400, 404}),
    "target with escaped slashes": (get(target=b"/v2%2fhealth%2f..%2flive"), {400, 404}),
    "target with dots": (get(target=b"/v2/health/../../healthz"), {400, 404}),
    "offer of HTTP/2": (request(LENGTH, b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AA"), {200}),
    "offer of a WebSocket": (get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: YQ=="), {200}),
    "offer of something else": (request(LENGTH, b"Connection: upgrade", b"Upgrade: foo/1"), {200}),
    "an upgrade that nobody offers": (request(LENGTH, b"Connection: upgrade"), {200}),
    "a protocol without an upgrade": (request(LENGTH, b"Upgrade: h2c"), {200}),
}  # fmt: skip
AMBIGUOUS: dict[str, tuple[bytes, set[int]]] = {
    "the same length twice": (request(LENGTH, LENGTH), {200}),
    "a list of the same length": (request(LENGTH + b", %d" % len(BODY)), {200}),
    "offer of HTTP/2 with chunks": (chunked(CHUNKS, b"Connection: Upgrade", b"Upgrade: h2c"), {400}),
    "gzip, chunked": (request(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), {400, 501}),
    "identity, chunked": (request(b"Transfer-Encoding: identity, chunked", body=CHUNKS), {200, 400, 501}),
    ", chunked": (request(b"Transfer-Encoding: , chunked", body=CHUNKS), {200}),
    "chunked among spaces and tabs": (request(b"Transfer-Encoding: \t chunked\t ", body=CHUNKS), {200}),
    "trailers that are framing": (chunked(CHUNKS[:-2] + b"Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), {200}),
    "folded value": (request(b"X-Request-Id: a\r\n b", LENGTH), {200}),
    "control character in a value": (request(b"X-Request-Id: a\x01b", LENGTH), {200}),
    "DEL in a value": (request(b"X-Request-Id: a\x7fb", LENGTH), {200}),
    "LF at the ends of lines": (request(LENGTH).replace(b"\r\n", b"\n"), {200}),
    "LF after the head": (request(LENGTH).replace(b"\r\n\r\n", b"\r\n\n"), {200}),
    "two spaces in the start line": (request(LENGTH, start=b"POST  /predict HTTP/1.1"), {200}),
    "tabs in the start line": (request(LENGTH, start=b"POST\t/predict\tHTTP/1.1"), {200}),
    "space after the version": (request(LENGTH, start=b"POST /predict HTTP/1.1 "), {200}),
    "version 1.2": (request(LENGTH, start=b"POST /predict HTTP/1.2"), {200}),
    "lower-case version": (request(LENGTH, start=b"POST /predict http/1.1"), {200}),
    "lower-case method": (request(LENGTH, start=b"post /predict HTTP/1.1"), {405, 501}),
    "unknown method": (request(LENGTH, start=b"FOO /predict HTTP/1.1"), {405, 501}),
    "fragment in the target": (request(LENGTH, start=b"POST /predict#a HTTP/1.1"), {200, 404}),
    "a target of 100,000 bytes": (get(target=b"/" + b"a" * 100_000), {400, 404, 414}),
    "not ASCII in the target": (get(target="/v2/ö".encode()), {404}),
    "extension without a name": (chunked(b"%x;\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)), {200}),
    "space before an extension": (chunked(b"%x ;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)), {200}),
    "unknown expectation": (request(LENGTH, b"Expect: tea"), {200, 417}),
    "2,000 headers": (request(*(b"X-%d: y" % number for number in range(2000)), LENGTH), {200, 431}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one model that ends with the module."""
    models: Path = tmp_path_factory.mktemp("smuggling") / "models"
    publish(models, "tumour", classifier(), labels=("malignant", "benign"))
    with serve(models, "--grace", "1s") as running:
        yield running


@pytest.fixture(params=["at once", "byte by byte"])
def step(request: pytest.FixtureRequest, sent: bytes) -> int:
    """How many bytes each packet has; long requests go in pieces of 1000 bytes."""
    return len(sent) + 1000 if request.param == "at once" else 1 if len(sent) < 10_000 else 1000


def converse(server: Server, sent: bytes, step: int) -> tuple[list[tuple[int, bytes]], bool]:
    """Send bytes; return the answers up to the end of the connection, and whether the server announced the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for at in range(0, len(sent), step):
                connection.sendall(sent[at : at + step])
            received = receive(connection)
        except ConnectionError:  # it has refused the request and does not read the rest
            received = receive(connection)
    return parse(received)


def receive(connection: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except (ConnectionResetError, TimeoutError):
        pass
    return b"".join(parts)


def parse(received: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Cut what came into answers (status and body) by their lengths; nothing may be left over."""
    answers: list[tuple[int, bytes]] = []
    closes = False
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, received
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        assert status is not None, head
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        size = int(length[1]) if length else 0
        assert len(rest) >= size, received
        answers.append((int(status[1]), rest[:size]))
        closes = b"\r\nconnection: close" in head
        received = rest[size:]
    return answers, closes


def assert_refused(answers: list[tuple[int, bytes]], closes: bool, statuses: set[int]) -> None:
    """One answer with the form of every error, and the announcement that the connection ends."""
    assert [status for status, _ in answers if status not in statuses] == []
    assert len(answers) == 1
    assert json.loads(answers[0][1]).keys() == {"error"}
    assert closes


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_a_malformed_request_is_refused_and_nothing_after_it_is_read(server: Server, sent: bytes, step: int) -> None:
    assert_refused(*converse(server, sent + NEXT, step), {400})


@pytest.mark.parametrize("sent", OTHER_REFUSALS.values(), ids=OTHER_REFUSALS)
def test_what_is_not_served_is_refused_and_nothing_after_it_is_read(server: Server, sent: bytes, step: int) -> None:
    assert_refused(*converse(server, sent + NEXT, step), {400, 405, 413, 431, 501, 505})


@pytest.mark.parametrize(("sent", "statuses"), ANSWERED.values(), ids=ANSWERED)
def test_a_request_with_one_meaning_has_one_answer(server: Server, sent: bytes, statuses: set[int], step: int) -> None:
    answers, _ = converse(server, sent + LAST, step)

    assert len(answers) == 2
    assert answers[0][0] in statuses
    assert answers[1] == (200, ALIVE)


@pytest.mark.parametrize(("sent", "statuses"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_request_that_may_be_refused_has_one_answer(
    server: Server, sent: bytes, statuses: set[int], step: int
) -> None:
    answers, closes = converse(server, sent + LAST, step)

    if len(answers) == 1:
        assert_refused(answers, closes, {400, 414, 417, 431, 501, 505})
    else:
        assert answers[0][0] in statuses
        assert answers[1:] == [(200, ALIVE)]


@pytest.mark.parametrize("sent", [b""])
def test_what_is_not_http_after_a_request_does_not_replace_its_answer(server: Server, step: int) -> None:
    answers, closes = converse(server, request(LENGTH) + b"\x00\r\n\r\n" + NEXT, step)

    assert [status for status, _ in answers] == [200, 400]
    assert closes


@pytest.mark.parametrize("sent", [b""])
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_shifted_boundary_ends_the_connection(server: Server, shift: int, step: int) -> None:
    """One byte of the body is read as a request, or one byte of the next request as the body."""
    shifted = request(b"Content-Length: %d" % (len(BODY) + shift))

    answers, closes = converse(server, shifted + request(LENGTH) + LAST, step)

    assert [status for status, _ in answers] == [400, 400]
    assert closes


@pytest.mark.parametrize("sent", [b""])
@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
def test_an_expectation_has_one_interim_answer_at_most(server: Server, expect: bytes, step: int) -> None:
    answers, _ = converse(server, request(LENGTH, b"Expect: " + expect) + LAST, step)

    statuses = [status for status, _ in answers]
    assert statuses in ([100, 200, 200], [200, 200])


def test_http_1_0_gets_no_interim_answer(server: Server) -> None:
    sent = request(LENGTH, b"Expect: 100-continue", start=b"POST /predict HTTP/1.0", host=b"")

    answers, _ = converse(server, sent, len(sent))

    assert [status for status, _ in answers] == [200]


@pytest.mark.parametrize("sent", [b""])
def test_http_1_0_ends_with_its_answer(server: Server, step: int) -> None:
    answers, _ = converse(server, get(version=b"HTTP/1.0", host=b"") + NEXT, step)

    assert answers == [(200, ALIVE)]


@pytest.mark.parametrize("sent", [b"GET /v2/health/live\r\n\r\n", get(version=b"HTTP/0.9"), get(version=b"HTTP/2.0")])
def test_another_major_version_has_one_answer_at_most(server: Server, sent: bytes, step: int) -> None:
    answers, closes = converse(server, sent + NEXT, step)

    assert len(answers) == 1
    assert answers[0][0] in (200, 400, 505)
    assert closes


@pytest.mark.parametrize("sent", [b""])
def test_http_1_0_may_stay_open(server: Server, step: int) -> None:
    answers, _ = converse(server, get(b"Connection: keep-alive", version=b"HTTP/1.0", host=b"") + LAST, step)

    assert answers in ([(200, ALIVE)], [(200, ALIVE)] * 2)


@pytest.mark.parametrize("sent", [b""])
def test_chunks_in_http_1_0_end_the_connection(server: Server, step: int) -> None:
    sent = request(CHUNKED, b"Connection: keep-alive", body=CHUNKS, start=b"POST /predict HTTP/1.0")

    answers, _ = converse(server, sent + NEXT, step)

    assert len(answers) == 1
    assert answers[0][0] in (200, 400)

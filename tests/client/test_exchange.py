import socket
from threading import Thread

import pytest
from tests.client.conftest import Serve

from snooze.bundle.errors import InvalidOption
from snooze.client.errors import RequestFailed, UnexpectedAnswer, Unreachable
from snooze.client.exchange import Address, Answer, Payload, exchange


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", Address("127.0.0.1", 8080, False, "")),
        ("127.0.0.1:8080/", Address("127.0.0.1", 8080, False, "")),
        ("https://models.example.com", Address("models.example.com", 443, True, "")),
        ("http://example.com/behind/", Address("example.com", 80, False, "/behind")),
        ("http://[::1]:8080", Address("::1", 8080, False, "")),
    ],
)
def test_parses_an_address(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected
    assert Address.parse(expected.url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "http://",
        "http://example.com:port",
        "http://a/?b=c",
        "",
        "http://a b",
        "http://[::1",
        "a\n",
    ],
)
def test_refuses_an_invalid_url(url: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Address.parse(url)

    assert caught.value.option == "URL"


def test_sends_a_request_and_returns_the_answer(serve: Serve) -> None:
    url = serve({"/prefix/x": (201, {"X-Name": "value"}, b"body")})

    answer = exchange(Address.parse(f"{url}/prefix"), "POST", "/x", Payload(b"asked", {"Content-Type": "text/plain"}))

    assert (answer.url, answer.status, answer.body, answer.headers["x-name"]) == (
        f"{url}/prefix/x",
        201,
        b"body",
        "value",
    )


def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", closed.getsockname()[1], False, "")

        with pytest.raises(Unreachable) as caught:
            exchange(address, "GET", "/")

    assert str(caught.value) == (
        f"cannot reach {address.url}: Connection refused; start the server first, for example: snooze serve models"
    )


@pytest.mark.parametrize("said", [b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b""])
def test_an_incomplete_answer_is_unreachable(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(said)
            connection.close()

        Thread(target=answer).start()
        with pytest.raises(Unreachable):
            exchange(Address("127.0.0.1", listener.getsockname()[1], False, ""), "GET", "/")


def test_waits_no_longer_than_it_may() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable) as caught:
        exchange(Address("127.0.0.1", silent.getsockname()[1], False, ""), "GET", "/", seconds=0.1)

    assert caught.value.problem == "timed out"


@pytest.mark.parametrize(
    ("body", "message"),
    [(b'{"error": "no  such\\nthing"}', "no such thing"), (b"<html>", "<html>"), (b"", "(no message)")],
)
def test_an_error_carries_the_message_of_the_server(body: bytes, message: str) -> None:
    with pytest.raises(RequestFailed) as caught:
        Answer("http://a/x", 503, {}, body).json_object()

    assert (caught.value.status, caught.value.message) == (503, message)


@pytest.mark.parametrize("body", [b"[1, 2]", b"[" * 100_000, b"<html>", b""])
def test_an_answer_must_be_a_json_object(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        Answer("http://a/x", 200, {}, body).json_object()

    assert caught.value.url == "http://a/x"

import os
import socket

import pytest

from snooze.service.errors import CannotListen
from snooze.service.process.listener import format_url, inherit, listen


def test_a_client_can_connect_before_anybody_accepts() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), 1) as connection:
        assert connection.getpeername() == listener.getsockname()
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_named() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            listen("127.0.0.1", port)

    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port or PORT "
        "(0 takes a free one)"
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotListen, match="cannot be used: the address is not one of this machine"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid())}])
def test_a_socket_for_somebody_else_is_not_taken(environ: dict[str, str]) -> None:
    assert inherit(environ) is None


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_socket_has_an_address_to_click_on(host: str, shown: str) -> None:
    with listen(host, 0) as listener:
        assert format_url(listener) == f"http://{shown}:{listener.getsockname()[1]}"

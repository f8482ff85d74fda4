import os
import socket
from pathlib import Path

import pytest

from snooze.service.errors import CannotListen, InvalidSetting
from snooze.service.process import listener as listener_module
from snooze.service.process.idle import NAMES
from snooze.service.process.listener import FIRST_FD, format_url, listen, open_listener


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
def test_a_socket_for_another_process_is_not_taken(environ: dict[str, str]) -> None:
    listener, holder = open_listener("127.0.0.1", 0, environ)
    with listener:
        assert listener.fileno() != FIRST_FD
        assert holder == "nobody"


@pytest.mark.parametrize(
    ("names", "expected"),
    [({}, "systemd"), ({"LISTEN_FDNAMES": "http"}, "systemd"), ({"LISTEN_FDNAMES": NAMES}, "parent")],
)
def test_a_socket_for_this_process_is_taken(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], expected: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as handed:
        monkeypatch.setattr(listener_module, "FIRST_FD", os.dup(handed.fileno()))
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", **names}
        listener, holder = open_listener("127.0.0.1", 0, environ)
        with listener:
            assert listener.getsockname() == handed.getsockname()
            assert holder == expected


def test_a_socket_that_was_announced_and_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(listener_module, "FIRST_FD", file.fileno())
        with pytest.raises(InvalidSetting) as caught:
            open_listener("127.0.0.1", 0, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})

    assert caught.value.variable == "LISTEN_FDS"


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_socket_has_an_address_to_click_on(host: str, shown: str) -> None:
    with listen(host, 0) as listener:
        assert format_url(listener) == f"http://{shown}:{listener.getsockname()[1]}"

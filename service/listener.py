"""
The listening socket: our own, or one that was handed to us as systemd does it (`LISTEN_PID`, `LISTEN_FDS`).

It listens before anything heavy is imported, so that a client that comes early waits instead of being refused.
"""

import errno
import os
import socket
from collections.abc import Mapping
from typing import Final, Literal

from snooze.service.errors import CannotListen, InvalidSetting

Holder = Literal["nobody", "keeper", "systemd"]  # who else holds the socket

FIRST_FD: Final = 3
SO_ATTACH_FILTER: Final = 26  # socket(7); Python has no name for it
KEEPER: Final = "snooze-idle:snooze-awake"
AWAKE: Final = 4
BACKLOG: Final = 2048
PROBLEMS: Final = {
    errno.EADDRINUSE: "is in use; stop what uses it, or choose another with --port or PORT (0 takes a free one)",
    errno.EACCES: "needs more rights; choose a port from 1024 on with --port or PORT",
    errno.EADDRNOTAVAIL: "cannot be used: the address is not one of this machine",
}


def inherited(environ: Mapping[str, str]) -> socket.socket | None:
    """
    Return the first socket that was handed to this very process, or None.

    Raises:
        InvalidSetting: one was announced, but there is none.
    """
    number = environ.get("LISTEN_FDS", "0")
    if environ.get("LISTEN_PID") != str(os.getpid()) or number == "0":
        return None
    try:
        return socket.socket(fileno=FIRST_FD)
    except OSError:
        raise InvalidSetting("LISTEN_FDS", number, f"file descriptor {FIRST_FD} is not a socket") from None


def holder(environ: Mapping[str, str]) -> Holder:
    """Return who handed an inherited socket to us: our own keeper gives its sockets a name."""
    return "keeper" if environ.get("LISTEN_FDNAMES") == KEEPER else "systemd"


def tell_the_keeper() -> None:
    """Say that we are ready, so that the keeper can tell an end from a start that failed."""
    try:
        os.write(AWAKE, b"1")
        os.close(AWAKE)
    except OSError:
        pass  # it is gone, and we shall soon notice


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens on `host` and `port`.

    Raises:
        CannotListen: the address is taken, not ours, or no address.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        # Without the protocol said, asyncio would not set TCP_NODELAY and every answer would take 40 ms.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotListen(host, port, f"cannot be used: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, PROBLEMS.get(error.errno or 0, f"cannot be used: {error.strerror}")) from None
    return listener


def turn_away(listener: socket.socket) -> None:
    """
    Let nobody connect any more, while those who have can still be accepted.

    To close the socket is not enough: who connects between the last `accept` and the close was told that it is
    established. So the kernel is given a filter that drops every packet of a new connection; its client tries again
    a second later, and is refused.
    """
    import ctypes  # only here: an end may take its 5 ms
    import struct

    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # one instruction of BPF: return 0 bytes
    try:
        program = struct.pack("HP", 1, ctypes.addressof(drop_all))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        pass  # a kernel without it: what is left is a window of microseconds


def url(listener: socket.socket) -> str:
    """Return where a client on this machine reaches the socket."""
    name = listener.getsockname()
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return str(name)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])  # noqa: S104
    return f"http://[{host}]:{name[1]}" if ":" in host else f"http://{host}:{name[1]}"

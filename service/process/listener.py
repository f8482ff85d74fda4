"""
The listening socket: our own, or one that was handed to us as systemd does it (`LISTEN_PID`, `LISTEN_FDS`).

It listens before anything heavy is imported, so that an early client waits instead of being refused.
"""

import errno
import os
import socket
from collections.abc import Mapping
from typing import Final, Literal

from snooze.service.errors import CannotListen, InvalidSetting

Holder = Literal["nobody", "parent", "systemd"]  # who else holds the socket; our own parent is `idle.py`

FIRST_FD: Final = 3
PARENT_NAMES: Final = "snooze-idle:snooze-ready"  # as `idle.NAMES`, which is not imported here
READY_FD: Final = 4
SEND_BUFFER: Final = 2**16  # bytes of a connection in the kernel: the container's limit counts them, our budget not
BACKLOG: Final = 2048
PROBLEMS: Final = {
    errno.EADDRINUSE: "is in use; stop what uses it, or choose another with --port or PORT (0 takes a free one)",
    errno.EACCES: "needs more rights; choose a port from 1024 on with --port or PORT",
    errno.EADDRNOTAVAIL: "cannot be used: the address is not one of this machine",
}


def open_listener(host: str, port: int, environ: Mapping[str, str]) -> tuple[socket.socket, Holder]:
    """
    Return the first socket that was handed to this very process, or our own, and who else holds it.

    Raises:
        InvalidSetting: LISTEN_FDS announces a socket, but the descriptor is not one.
        CannotListen: see `listen`.
    """
    number = environ.get("LISTEN_FDS", "0")
    if environ.get("LISTEN_PID") != str(os.getpid()) or number == "0":
        return listen(host, port), "nobody"
    try:
        listener = socket.socket(fileno=FIRST_FD)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        return listener, "parent" if environ.get("LISTEN_FDNAMES") == PARENT_NAMES else "systemd"
    except OSError:
        raise InvalidSetting("LISTEN_FDS", number, f"file descriptor {FIRST_FD} is not a socket") from None


def report_ready() -> None:
    """Report to our parent that we are ready, so that it can tell the end of a server from a start that failed."""
    try:
        os.write(READY_FD, b"1")
        os.close(READY_FD)
    except OSError:
        pass  # it is gone, which the server will notice


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens on `host` and `port`.

    Raises:
        CannotListen: the address is in use, belongs to another machine, or is not an address.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            # As bytes (it is ASCII): for a text, Python imports its tables of Unicode.
            host.encode(),
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV,
        )[0]
        # Without an explicit protocol asyncio does not set TCP_NODELAY, and every answer takes 40 ms.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotListen(host, port, f"cannot be used: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, PROBLEMS.get(error.errno or 0, f"cannot be used: {error.strerror}")) from None
    return listener


def format_url(listener: socket.socket) -> str:
    """Return the URL under which a client on this machine reaches the socket."""
    name = listener.getsockname()
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return str(name)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])  # noqa: S104
    return f"http://[{host}]:{name[1]}" if ":" in host else f"http://{host}:{name[1]}"

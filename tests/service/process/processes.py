"""What the tests of server processes share: requests, and conditions to wait for."""

import json
import socket
import time
import urllib.request
from pathlib import Path

from tests.service.conftest import DEADLINE, Running, StartServer

ROWS = {"rows": [[0.5] * 30]}
BODY = json.dumps(ROWS).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
REFUSED = b'{"error":"the server is stopping"}'
HELD = Path(__file__).with_name("held_server.py")
COMMAND = "import sys; from snooze.cli import main; sys.exit(main())"


def start_idle(start_server: StartServer, models: Path, idle: str, **variables: str) -> Running:
    """Start `snooze serve --idle`, and wait until it is asleep."""
    variables["SNOOZE_LOG"] = "text"
    server = start_server(command=("-c", COMMAND, "serve", str(models), "--idle", idle), **variables)
    server.wait_for("asleep, waiting on")
    return server


def wait_for_metric(server: Running, line: str) -> None:
    """Wait until /metrics holds a line."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=DEADLINE) as answer:
            if line in answer.read().decode():
                return
        time.sleep(0.01)
    raise AssertionError(f"{line!r} did not come")


def wait_for_refusal(server: Running) -> None:
    """Wait until a connection is refused."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            connect(server, 0.2).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("it still listens")


def connect(server: Running, timeout: float = DEADLINE) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout)


def wait_for_port(server: Running) -> None:
    """Wait until the server listens, without connecting."""
    end = time.monotonic() + DEADLINE
    while f":{server.port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < end
        time.sleep(0.001)

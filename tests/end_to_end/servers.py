"""Servers of the real command, each in a process of its own, and where the data are that must not be republished."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SNOOZE = [sys.executable, "-m", "snooze.cli"]
DEADLINE = 60.0
DATA = Path(os.environ.get("SNOOZE_DATA", Path(__file__).parents[3] / "shared/data"))


class Server:
    """A running `snooze serve`. `log` is the file that holds its standard error."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.log = log
        end = time.monotonic() + DEADLINE
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "the server does not say where it listens"
            time.sleep(0.01)
        self.port = int(found[1])
        self.url = found[0]

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, document: Any) -> Any:
        """Return the JSON answer to a JSON document."""
        status, body = self.request("POST", path, json.dumps(document).encode())
        assert status == 200, body
        return json.loads(body)

    def send(self, *parts: bytes) -> bytes:
        """Send raw bytes, and return everything up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def serve(repository: Path, *options: str) -> Iterator[Server]:
    """Run `snooze serve` on a free port; it must end with exit code 0 and without a traceback."""
    log = repository.parent / "server.log"
    command = [*SNOOZE, "serve", str(repository), "--port", "0", *options]
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            yield Server(process, log)
        finally:
            process.terminate()
            code = process.wait(DEADLINE)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()

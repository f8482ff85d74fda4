"""
Prove that the image's file system serves: start the server in it, and ask.

A stage of the Dockerfile runs this file as a script in the file system of the image, so it imports only the standard
library: `python prove.py sample /sample` asks for every page and predicts; `python prove.py models /models` starts the
server with what the image will serve. The server checks the golden samples of each model before it is ready.
"""

import os
import re
import socket
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PAGES: Final = ("/", "/docs", "/openapi.json", "/metrics", "/v2", "/v1/models")
LIBRARIES: Final = ("PIL.Image", "tokenizers")  # of adapters, where EXTRAS asks for them
SECONDS: Final = 600.0  # for the start, and for each answer


class NotProved(Exception):
    """The server did not start, or an answer was not the expected one."""


class Server:
    """The image's server on a port of its own, serving one folder: `with Server(folder) as server:`."""

    def __init__(self, folder: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        environment = {**os.environ, "PORT": str(self.port), "SNOOZE_MODELS": folder, "SNOOZE_READY": "all"}
        self._process = subprocess.Popen(["python", "-m", "snooze.service"], env=environment)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._process.terminate()
        if self._process.wait() and kind is None:
            raise NotProved(f"the server was stopped and ended with exit code {self._process.returncode}")

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        """
        Return the body of an answer. The first one waits until the server is ready.

        Raises:
            NotProved: the server has ended, or its answer is not 200.
        """
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: text/html, */*\r\n"
        about = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            with self._connect() as connection, connection.makefile("rb") as answers:
                connection.sendall((head + about).encode() + body)
                answer = answers.read()
        except ConnectionError:
            raise NotProved("the server has ended; its message is above") from None
        status, _, content = answer.partition(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 200 "):
            raise NotProved(f"{method} {path}: expected 200, got {answer[:2000].decode('utf-8', 'replace')!r}")
        return content

    def _connect(self) -> socket.socket:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise NotProved("the server has ended; its message is above")
            try:
                return socket.create_connection(("127.0.0.1", self.port), SECONDS)
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise NotProved(f"the server does not listen after {SECONDS:.0f} s")


def prove_sample(folder: str) -> None:
    """Serve the bundle of `sample.py`, ask for every page and predict; import the libraries of adapters."""
    with Server(folder) as server:
        server.ask("GET", "/readyz")
        for page in PAGES:
            content = server.ask("GET", page)
            for file in sorted(set(re.findall(rb'(?:href|src)="(static/[^"]+)"', content))):
                server.ask("GET", f"/{file.decode()}")
        server.ask("POST", "/predict", server.ask("GET", "/models/sample/example"))
    for library in LIBRARIES:
        if find_spec(library.partition(".")[0]):
            import_module(library)


def prove_models(folder: str) -> None:
    """Start the server with the models, if there are any, and wait until it is ready."""
    if any(Path(folder).iterdir()):
        with Server(folder) as server:
            server.ask("GET", "/readyz")


def main(what: str, folder: str) -> str | None:
    """Prove one of both; return what is wrong."""
    try:
        {"sample": prove_sample, "models": prove_models}[what](folder)
    except (NotProved, ImportError, OSError) as error:
        return f"snooze: the image does not serve {folder}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

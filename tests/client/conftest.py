"""A stand-in for servers of the protocol other than Snooze: what they answer is set by each test."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.benchmarks.conftest import bundle, snooze_server

__all__ = ["bundle", "serve", "snooze_server"]  # the latter is a real Snooze server

Answers = dict[str, Any]  # by path: a JSON value, bytes, or (status, headers, body)
Serve = Callable[[Answers], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with fixed answers and returns its URL. 404 for any other path."""
    servers = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))  # type: ignore[attr-defined]
                found = answers.get(self.path, (404, {}, b'{"error": "nothing here"}'))
                status, headers, body = found if isinstance(found, tuple) else (200, {}, found)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815  (names of http.server)

            def log_message(self, format: str, *arguments: object) -> None:
                """Write no log."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.bodies = []  # type: ignore[attr-defined]
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()

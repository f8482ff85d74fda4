"""Servers that answer as the revisions of a Service do: their model says what each test wants."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest

Predict = Callable[[float], Any]  # from the only feature of a row to a prediction, or to a status of an error


class ArmServer(NamedTuple):
    """A running server; `log` holds the features in the order in which they came, with the arm's revision."""

    url: str
    headers: list[dict[str, str]]


StartArm = Callable[..., ArmServer]


@pytest.fixture
def order() -> list[tuple[str, float]]:
    """Return the list to which all arms add the rows that they are asked."""
    return []


@pytest.fixture
def start_arm(order: list[tuple[str, float]]) -> Iterator[StartArm]:
    """Return a function that starts an arm of a model with one feature."""
    servers = []

    def start(revision: str, predict: Predict, adapter: str | None = None, names: str | None = "same") -> ArmServer:
        headers: list[dict[str, str]] = []
        metadata: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]}
        if adapter:
            metadata["adapter"] = {"kind": adapter}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send(200 if self.path == "/v2/models/tumour" else 404, metadata)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers.append(dict(self.headers))
                if self.path == "/v2/repository/index":
                    self.send(200, [{"name": "tumour"}])
                    return
                text = body.decode()
                row = json.loads(text)["rows"][0] if text.startswith("{") else text.splitlines()[1]
                feature = float(row[0] if isinstance(row, list) else row)
                order.append((revision, feature))
                answer = predict(feature)
                if isinstance(answer, int):
                    self.send(answer, {"error": f"no answer to {feature:g}"})
                else:
                    self.send(200, {"predictions": [answer]})

            def send(self, status: int, document: Any) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                named = revision if names == "same" else names
                own = {} if named is None else {"Snooze-Revision": named, "Snooze-Version": revision[-1]}
                for name, value in {"Content-Length": str(len(content)), **own}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """Write no log."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return ArmServer(f"http://127.0.0.1:{server.server_port}", headers)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def split_service(first: ArmServer | str, second: ArmServer | str, **changes: Any) -> dict[str, Any]:
    """Return a Service whose revisions tumour-v1 and tumour-v2 share the requests."""
    urls = [one if isinstance(one, str) else one.url for one in (first, second)]
    traffic = [
        {"revisionName": f"tumour-v{number}", "percent": 50, "tag": f"v{number}", "url": url}
        for number, url in enumerate(urls, 1)
    ]
    metadata = {"name": "tumour", "resourceVersion": "1"}
    return {"metadata": metadata, "status": {"url": urls[0], "traffic": traffic, **changes}}

"""
A test double of a server of the Open Inference protocol. It predicts nothing; its models behave as their names say.

Prints its port and serves until it is killed.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIGNATURE = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}], "outputs": []}
MODELS = ("tumour", "slow", "busy", "broken", "strict")

ODD: dict[str, tuple[int, Any]] = {  # not in the index: their metadata is what is wrong with them
    "loading": (503, {"error": "the model is loading"}),
    "silent": (200, {"name": "silent"}),
    "newer": (200, {"inputs": [{"name": "x", "datatype": "BF16", "shape": [-1, 4]}]}),
    "constant": (200, {"inputs": []}),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name in MODELS:
            self.answer(200, {"name": name, **SIGNATURE})
        elif name in ODD:
            self.answer(*ODD[name])
        else:
            self.answer(404, {"error": f"no model {name}"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v2/repository/index":
            return self.answer(200, [{"name": name} for name in MODELS])
        return self.predict(self.path.split("/")[-2], body)

    def predict(self, model: str, body: bytes) -> None:
        single = "Accept-Encoding" in self.headers  # a request on its own; those of a load have no such header
        if model == "slow":
            time.sleep(0.2)
        if model == "strict":
            self.answer(400, {"error": "input 'features': too many rows"})
        elif model == "busy" and not single:
            self.answer(429, {"error": "too many requests"})
        elif model == "broken" and not single:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf an ans")
            self.close_connection = True
        else:
            self.answer(200, {"model_name": model, "outputs": [], "bytes": len(body)})

    def answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()

"""
A stand-in for a server of the Open Inference protocol, whose models fail as their names say.

A real server cannot be made to break off an answer, refuse each request of a load or answer slowly on demand. Prints
its port and serves until it is killed.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIGNATURE = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}], "outputs": []}
MODELS = ("tumour", "slow", "busy", "broken", "strict")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = 0

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name in MODELS:
            self.answer(200, {"name": name, **SIGNATURE})
        elif name == "connections":
            self.answer(200, Server.connections)
        elif name == "requests":
            self.answer(200, Handler.requests)
        else:
            self.answer(404, {"error": f"no model {name}"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v2/repository/index":
            return self.answer(200, [{"name": name} for name in MODELS])
        return self.predict(self.path.split("/")[-2], body)

    def predict(self, model: str, body: bytes) -> None:
        Handler.requests += 1
        single = "Accept-Encoding" in self.headers  # a single request; those of a load have no such header
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


class Server(ThreadingHTTPServer):
    connections = 0
    request_queue_size = 128

    def get_request(self) -> Any:
        Server.connections += 1
        return super().get_request()


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()

"""A real connection in an event loop of its own: our protocol with an application at one end, a client at the other."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvloop
from uvicorn.server import ServerState as Connections

from snooze.service.app import Application
from snooze.service.http.connection import TURN, Connection
from snooze.service.logs import Log
from snooze.service.messages import Handler, Request, Response
from snooze.service.metrics import Metrics
from snooze.service.process.server import configure
from snooze.service.runtime.repository import Repository
from snooze.service.settings import Settings
from snooze.service.state import ServerState

PATIENCE = 10.0


class Counting(Connection):
    """Counts what has arrived, so that a test can wait for it."""

    received = 0

    def buffer_updated(self, nbytes: int) -> None:
        """Count the bytes once they are parsed."""
        super().buffer_updated(nbytes)
        self.received += nbytes


class Echo(Application):
    """
    An application that answers with the body of the request: `/now` at once, `/busy` when it has blocked the loop for
    half a turn, other paths when `gate` is open.

    `/large` has a megabyte in front of the body.
    """

    def __init__(self, **settings: Any) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests: list[tuple[str, dict[bytes, bytes], bytes]] = []
        chosen = Settings(models=(), log="off", **settings)
        super().__init__(Repository([]), chosen, ServerState(chosen, Metrics(), Log("off")))

    def find(self, path: str) -> Handler | None:
        """Return what answers at once."""
        return {"/now": self._echo, "/busy": self._block}.get(path)

    def _block(self, request: Request) -> Response:
        time.sleep(TURN / 2)
        return self._echo(request)

    def _echo(self, request: Request) -> Response:
        self.requests.append((request.method, request.headers, request.body))
        return Response(200, [(b"content-length", b"%d" % len(request.body))], request.body)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body = (await receive())["body"]
        self.requests.append((scope["method"], dict(scope["headers"]), body))
        await self.gate.wait()
        if scope["path"] == "/broken":
            raise ValueError("a fault")
        if scope["path"] == "/large":
            body = bytes(2**20) + body
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Pair:
    """Both ends of a connection."""

    def __init__(
        self, app: Echo, connection: Counting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.app = app
        self.connection = connection
        self.reader = reader
        self.writer = writer
        self._sent = 0

    async def send(self, *packets: bytes) -> None:
        """Send each packet when the one before has been parsed."""
        for packet in packets:
            self.writer.write(packet)
            self._sent += len(packet)
            await until(lambda: self.connection.received >= self._sent or self.is_closing())

    def is_closing(self) -> bool:
        """Return whether the server has begun to close."""
        return self.connection._discarder is not None or self.connection._transport.is_closing()

    def is_lost(self) -> bool:
        """Return whether the connection has ended."""
        return self.connection not in self.connection._server_state.connections

    async def response(self, bodiless: bool = False) -> tuple[int, bytes]:
        """Read one response: its status and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(lines[0].split()[1]), b"" if bodiless else await self.reader.readexactly(length)

    def wait(self, seconds: float, patience: float = PATIENCE) -> None:
        """Let the server look after the connection as it would in some seconds."""
        self.connection.check(time.monotonic() + seconds, patience)


@asynccontextmanager
async def connect(**settings: Any) -> AsyncIterator[Pair]:
    """Connect a client to our protocol on a real socket."""
    app = Echo(**settings)
    config = configure(app)
    config.load()
    connections = Connections()
    make: Any = config.http_protocol_class
    counting: Any = partial(Counting, *make.args)
    server = await asyncio.get_running_loop().create_server(lambda: counting(config, connections, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await until(lambda: bool(connections.connections))
    (connection,) = connections.connections
    assert isinstance(connection, Counting)
    try:
        yield Pair(app, connection, reader, writer)
    finally:
        writer.close()
        server.close()
        app.gate.set()
        await until(lambda: not connections.connections)
        assert app.state.budget.used == 0  # nothing is charged for ever


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for a time."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        await asyncio.sleep(0.001)


def converse(talk: Callable[[Pair], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run `talk` with a new connection, in the kind of loop that serves."""

    async def run() -> None:
        async with connect(**settings) as pair:
            await talk(pair)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())

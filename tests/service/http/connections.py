"""A real connection in an event loop of its own: our protocol with an application at one end, a client at the other."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from uvicorn.server import ServerState

from snooze.service.http.protocol import Connection
from snooze.service.process.server import configure


class Counting(Connection):
    """Counts what has arrived, so that a test can wait for it."""

    received = 0

    def data_received(self, data: bytes) -> None:
        """Count the bytes once they are parsed."""
        super().data_received(data)
        self.received += len(data)


class Echo:
    """An application that answers with the body of the request, but not before `gate` is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests: list[tuple[str, dict[bytes, bytes], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; `/early` without reading it."""
        body = b""
        more = scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.requests.append((scope["method"], dict(scope["headers"]), body))
        await self.gate.wait()
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
            await until(lambda: self.connection.received >= self._sent or self.connection.transport.is_closing())

    async def response(self, bodiless: bool = False) -> tuple[int, bytes]:
        """Read one response: its status and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(lines[0].split()[1]), b"" if bodiless else await self.reader.readexactly(length)

    def wait(self, seconds: float) -> None:
        """Let the server look after the connection now, and once more `seconds` later."""
        now = self.connection.loop.time()
        self.connection.refuse_if_late(now)
        self.connection.refuse_if_late(now + seconds)


@asynccontextmanager
async def connect() -> AsyncIterator[Pair]:
    """Connect a client to our protocol on a real socket."""
    app = Echo()
    config = configure(app)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: Counting(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await until(lambda: bool(state.connections))
    (connection,) = state.connections
    assert isinstance(connection, Counting)
    try:
        yield Pair(app, connection, reader, writer)
    finally:
        writer.close()
        server.close()
        app.gate.set()
        await until(lambda: not state.connections and not state.tasks)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for a time."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        await asyncio.sleep(0.001)


def converse(talk: Callable[[Pair], Coroutine[Any, Any, None]]) -> None:
    """Run `talk` with a new connection, in the kind of loop that serves."""

    async def run() -> None:
        async with connect() as pair:
            await talk(pair)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())

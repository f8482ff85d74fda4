"""
uvicorn, with the end of a process as we want it: nothing that was sent to us is lost, and the exit code is 0.

On SIGTERM or Ctrl-C, or when nothing was asked for long enough: readiness goes, the socket is closed once what the
kernel had queued on it is ours, requests that come on open connections are answered with `Connection: close`, what runs
is finished. Where the socket stays open in another process, what is still queued on it is for our successor.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import Server as Uvicorn

from snooze.service.app import Application
from snooze.service.http.protocol import KEEP_ALIVE, READ_TIMEOUT, Connection
from snooze.service.listener import BACKLOG, Holder, turn_away

IDLE: Final = "idle"
ALONE: Final = "the process that held the socket is gone"
STEP: Final = 0.02
SHORT_PATIENCE: Final = 2.0  # for the rest of a request, when we are to stop
LINGER: Final = 0.3
FIRST_REQUEST: Final = 1.0


class Server(Uvicorn):
    """One server for one application. `on_ready` is called when requests are accepted."""

    def __init__(self, app: Application, holder: Holder, on_ready: Callable[[], None]) -> None:
        super().__init__(configure(app))
        self._app = app
        self._holder = holder
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._keeper = os.getppid() if holder == "keeper" else None
        self._begun = 0.0
        self.why = IDLE

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C waits for nothing. The signal is not raised again: we exit with 0."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.why = signal.Signals(sig).name
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_ready()
        self._begun = self._app.begin()

    async def main_loop(self) -> None:
        """Serve until told to stop or idle. Wakes up once a second, uvicorn itself ten times."""
        idle = self._app.settings.idle
        tick = min(1.0, max(STEP, idle / 4)) if idle else 1.0
        # The counter tells uvicorn that a second is over: it then renews the Date header.
        while not await self.on_tick(0) and not (idle and self._is_idle(idle)):
            if self._keeper is not None and os.getppid() != self._keeper:
                self.why = ALONE
                return
            self._refuse_the_late(READ_TIMEOUT)
            try:
                await asyncio.wait_for(self._stop.wait(), tick)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was sent to us, for as long as the settings allow."""
        self._app.drain()
        last = [] if self._succeeded() else [listener.dup() for listener in sockets or []]
        for listener in last:
            turn_away(listener)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for listener in last:
            await self._accept_the_queue(listener)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while self.server_state.connections and not self.force_exit:
            waited = loop.time() - begin
            if waited > self._app.settings.grace:
                self._app.state.log.write("stop", f"gave up {self._app.state.in_flight} requests after {waited:.1f} s")
                break
            self._refuse_the_late(SHORT_PATIENCE)
            for connection in list(self.server_state.connections):
                if _may_close(connection, waited):
                    connection.shutdown()
            await asyncio.sleep(STEP)

    def _is_idle(self, idle: float) -> bool:
        """Return whether nothing was asked for so long. Who woke us has a second to ask, however short that is."""
        allowed = max(idle, FIRST_REQUEST) if self._app.state.touched == self._begun else idle
        if self._app.idle_for() < allowed:
            return False
        return not any(connection.reads_body() for connection in self._connections())

    def _refuse_the_late(self, patience: float) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for connection in self._connections():
            connection.refuse_if_late(now, patience)

    def _connections(self) -> list[Connection]:
        return [one for one in self.server_state.connections if isinstance(one, Connection)]

    def _succeeded(self) -> bool:
        """Return whether the socket stays open elsewhere: the keeper gives it up with us, but not when we are idle."""
        return self._holder == "systemd" or (self._holder == "keeper" and self.why == IDLE)

    async def _accept_the_queue(self, listener: socket.socket) -> None:
        """Take the connections that the kernel told their clients are established, and close the socket."""
        listener.setblocking(False)
        for _ in range(BACKLOG):
            try:
                connection = listener.accept()[0]
            except OSError:
                break
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        listener.close()

    def _protocol(self) -> asyncio.Protocol:
        return Connection(config=self.config, server_state=self.server_state, app_state={})


def _may_close(connection: Any, waited: float) -> bool:
    """Return whether closing a connection, at once or after the answer that it waits for, can lose nothing any more."""
    cycle = connection.cycle
    if cycle is None:
        return waited >= FIRST_REQUEST
    return not cycle.response_complete or waited >= LINGER


def configure(app: Any) -> Config:
    """Return how uvicorn serves `app`."""
    return Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
    )

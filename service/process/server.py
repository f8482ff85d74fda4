"""
uvicorn, with our end of a process: nothing that was sent to us is lost, and the exit code is 0.

On SIGTERM or Ctrl-C, or after enough time without a request: readiness ends, connections that the kernel has queued
are accepted and the socket is closed, requests that arrive on open connections are answered with `Connection: close`,
running ones are completed. A socket that stays open in another process is left alone: what is queued on it is for our
successor.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import Server as UvicornServer

from snooze.service.app import Application
from snooze.service.http.connection import FIRST_REQUEST, MIN_RATE, Connection, Shared
from snooze.service.process.listener import BACKLOG, Holder

IDLE: Final = "idle"
ORPHANED: Final = "the parent process that held the socket is gone"
MIN_TICK: Final = 0.02  # seconds
PATIENCE_WHILE_STOPPING: Final = 2.0  # seconds for the rest of a request, or of the reading of an answer
RATE_WHILE_STOPPING: Final = 2**20  # bytes that buy one more second


class Server(UvicornServer):
    """Serve one application. `on_ready` is called when requests are accepted."""

    def __init__(self, app: Application, holder: Holder, on_ready: Callable[[], None]) -> None:
        super().__init__(configure(app))
        self._app = app
        self._holder = holder
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._parent = os.getppid()
        self._started_at = 0.0
        self._reload_asked = False
        self.reason = IDLE

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C waits for nothing. uvicorn would raise the signal again at the end."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.reason = signal.Signals(sig).name
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def reload(self) -> None:
        """Look for other versions of the models soon. May be called by a signal handler, and before the start."""
        self._reload_asked = True
        if self._loop is not None and not self._app.state.draining:
            self._loop.call_soon_threadsafe(self._begin_reload)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and report it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_ready()
        self._started_at = self._app.begin()
        if self._app.settings.watch:
            self._app.reloader.begin()
        self._begin_reload()

    async def main_loop(self) -> None:
        """Serve until a signal comes or nothing is asked. It wakes up once a second, uvicorn's ten times."""
        idle = self._app.settings.idle
        tick = min(1.0, max(MIN_TICK, idle / 4)) if idle else 1.0
        # The counter of ticks is 0 each time, for which uvicorn renews the Date header.
        while not await self.on_tick(0) and not (idle and self._is_idle(idle)):
            if self._holder == "parent" and os.getppid() != self._parent:
                self.reason = ORPHANED
                return
            self._check_connections(self._app.settings.client_timeout)
            try:
                await asyncio.wait_for(self._stop.wait(), tick)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was sent to us, within the settings' grace."""
        self._app.drain()
        sockets = sockets or []
        is_last = self._holder == "nobody" or self.reason == ORPHANED
        own = [listener.dup() for listener in sockets] if is_last else []
        if own:
            from snooze.service.process.idle import reject_connections

            for listener in own:
                reject_connections(listener)
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for listener in own:
            await self._accept_queue(listener)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while self.server_state.connections and not self.force_exit:
            waited = loop.time() - begin
            if waited > self._app.settings.grace:
                self._app.state.log.write("stop", f"gave up {self._app.state.in_flight} requests after {waited:.1f} s")
                break
            self._check_connections(PATIENCE_WHILE_STOPPING, RATE_WHILE_STOPPING)
            for connection in self._connections():
                connection.stop(waited)
            await asyncio.sleep(MIN_TICK)

    def _begin_reload(self) -> None:
        if self._reload_asked:
            self._reload_asked = False
            self._app.reloader.ask()

    def _is_idle(self, idle: float) -> bool:
        """Return whether nothing was asked for so long. A client that woke us has a second to ask."""
        allowed = max(idle, FIRST_REQUEST) if self._app.state.touched == self._started_at else idle
        if self._app.idle_for() < allowed:
            return False
        return not any(connection.reads_body() for connection in self._connections())

    def _check_connections(self, patience: float, rate: float = MIN_RATE) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.check(now, patience, rate)

    def _connections(self) -> list[Connection]:
        return cast(list[Connection], list(self.server_state.connections))

    async def _accept_queue(self, listener: socket.socket) -> None:
        """Accept the connections that the kernel has told their clients are established, and close the socket."""
        listener.setblocking(False)
        make = partial(cast(Any, self.config.http_protocol_class), self.config, self.server_state, {})
        for _ in range(BACKLOG):
            try:
                connection = listener.accept()[0]
            except OSError:
                break
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(make, connection)
        listener.close()


def configure(app: Application) -> Config:
    """Return the configuration with which uvicorn serves `app`."""
    return Config(
        app,
        loop="uvloop",
        http=cast(type[asyncio.Protocol], partial(Connection, Shared(app))),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )

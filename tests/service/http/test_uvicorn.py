"""What we assume of uvicorn beyond its documented API. Read this before another minor version is allowed."""

import asyncio
import inspect
from importlib.metadata import version
from typing import Any

import pytest
from tests.service.http.connections import Pair, converse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server as UvicornServer
from uvicorn.server import ServerState

from snooze.service.http.protocol import Connection
from snooze.service.process.server import Server, configure


def test_the_version_is_the_one_that_was_tested() -> None:
    assert version("uvicorn").startswith("0.54.")  # as pyproject.toml requires


@pytest.mark.parametrize("ours", [Connection, Server])
def test_every_overridden_method_exists_with_the_same_arguments(ours: type) -> None:
    base = ours.__mro__[1]
    theirs = {name: getattr(base, name) for name in vars(ours) if callable(getattr(base, name, None))}
    overridden = {
        Connection: {
            "connection_made",
            "data_received",
            "on_message_complete",
            "on_response_complete",
            "send_400_response",
        },
        Server: {"handle_exit", "main_loop", "shutdown", "startup"},
    }[ours]

    assert overridden <= set(theirs)
    for name in overridden:
        got, expected = inspect.signature(getattr(ours, name)), inspect.signature(theirs[name])
        assert list(got.parameters) == list(expected.parameters), name
        assert inspect.iscoroutinefunction(getattr(ours, name)) == inspect.iscoroutinefunction(theirs[name]), name


def test_a_connection_has_the_attributes_that_we_read() -> None:
    async def make() -> None:
        config = configure(None)
        config.load()
        state = ServerState()
        connection: Any = HttpToolsProtocol(config, state, {}, asyncio.get_running_loop())

        assert (connection.scope, connection.cycle, connection.timeout_keep_alive_task) == (None, None, None)
        assert connection.transport is None
        assert connection.headers is None
        assert len(connection.pipeline) == 0
        assert connection.server_state is state
        assert connection.loop is asyncio.get_running_loop()
        assert connection.app is config.loaded_app
        assert connection.connections is state.connections

    asyncio.run(make())
    parameters = set(inspect.signature(RequestResponseCycle).parameters)
    assert {"scope", "transport", "message_event", "on_response"} <= parameters


def test_a_scope_begins_with_its_head_and_a_cycle_ends_it() -> None:
    async def talk(pair: Pair) -> None:
        connection: Any = pair.connection
        pair.app.gate.clear()
        await pair.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n")
        scope = connection.scope
        assert scope is not None
        assert not connection.cycle

        await pair.send(b"\r\nha")
        cycle: Any = connection.cycle
        assert cycle.scope is scope
        assert (cycle.more_body, cycle.response_started, cycle.response_complete) == (True, False, False)
        assert cycle.disconnected is False

        await pair.send(b"lf")
        assert cycle.more_body is False

        await pair.send(b"POST")
        assert connection.scope is not scope
        assert connection.cycle is cycle
        assert connection.timeout_keep_alive_task is None

        pair.app.gate.set()
        assert await pair.response() == (200, b"half")
        assert cycle.response_complete
        assert connection.timeout_keep_alive_task is not None  # uvicorn waits for the next request, not for its rest

    converse(talk)


def test_a_pipelined_request_waits_in_the_pipeline() -> None:
    async def talk(pair: Pair) -> None:
        pair.app.gate.clear()
        request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
        await pair.send(request)
        first = pair.connection.cycle
        await pair.send(request)
        assert pair.connection.cycle is not first
        assert [cycle for cycle, _ in pair.connection.pipeline] == [pair.connection.cycle]

    converse(talk)


def test_uvicorn_calls_the_parts_of_a_server_in_order() -> None:
    calls: list[str] = []

    class Parts(UvicornServer):
        async def startup(self, sockets: Any = None) -> None:
            calls.append("startup")
            self.started = True

        async def main_loop(self) -> None:
            calls.append("main_loop")
            assert await self.on_tick(0) is False
            assert self.server_state.default_headers[0][0] == b"date"  # tick 0 renews it
            self.should_exit = True
            assert await self.on_tick(0) is True

        async def shutdown(self, sockets: Any = None) -> None:
            calls.append("shutdown")

    Parts(configure(None)).run([])

    assert calls == ["startup", "main_loop", "shutdown"]

"""What we assume of uvicorn beyond its documented API. Read this before another minor version is allowed."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from tests.service.http.connections import Echo
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server as UvicornServer
from uvicorn.server import ServerState

from snooze.service.http.connection import Connection
from snooze.service.process.server import Server, configure


def test_the_version_is_the_one_that_was_tested() -> None:
    assert version("uvicorn").startswith("0.54.")  # as pyproject.toml requires


@pytest.mark.parametrize("name", ["handle_exit", "main_loop", "shutdown", "startup"])
def test_every_overridden_method_exists_with_the_same_arguments(name: str) -> None:
    ours, theirs = getattr(Server, name), getattr(UvicornServer, name)

    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_a_protocol_is_made_with_the_arguments_that_ours_takes() -> None:
    given = list(inspect.signature(HttpToolsProtocol).parameters)
    taken = list(inspect.signature(Connection).parameters)

    assert taken == ["shared", *given]


def test_the_server_keeps_what_connections_use() -> None:
    state = ServerState()

    assert state.connections == set()
    assert state.default_headers == []


def test_uvicorn_calls_the_parts_of_a_server_in_order() -> None:
    calls: list[str] = []

    class Parts(UvicornServer):
        async def startup(self, sockets: Any = None) -> None:
            calls.append("startup")
            self.started = True

        async def main_loop(self) -> None:
            calls.append("main_loop")
            before = self.server_state.default_headers
            assert await self.on_tick(0) is False
            assert self.server_state.default_headers[0][0] == b"date"  # tick 0 renews it
            assert self.server_state.default_headers is not before  # in a new list, by which we notice it
            self.should_exit = True
            assert await self.on_tick(0) is True

        async def shutdown(self, sockets: Any = None) -> None:
            calls.append("shutdown")

    Parts(configure(Echo())).run([])

    assert calls == ["startup", "main_loop", "shutdown"]

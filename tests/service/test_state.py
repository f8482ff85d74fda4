import pytest

from snooze.service.logs import Log
from snooze.service.metrics import Metrics
from snooze.service.settings import Settings
from snooze.service.state import ServerState

TRACE = f"00-{'a' * 32}-{'b' * 16}-01".encode()


@pytest.fixture
def state() -> ServerState:
    return ServerState(Settings(), Metrics(), Log("off"))


@pytest.mark.parametrize(("given", "kept"), [(b"abc-1", True), (b"a b", False), (b"x" * 129, False), (b"", False)])
def test_a_valid_request_id_is_kept(state: ServerState, given: bytes, kept: bool) -> None:
    assert (state.request_id({b"x-request-id": given}) == given) is kept


def test_a_new_request_id_is_unique(state: ServerState) -> None:
    assert len({state.request_id({}) for _ in range(3)}) == 3


@pytest.mark.parametrize(("trace", "kept"), [(TRACE, True), (b"x", False)])
def test_a_valid_trace_is_returned(state: ServerState, trace: bytes, kept: bool) -> None:
    assert ((b"traceparent", trace) in state.common_headers(b"1", {b"traceparent": trace})) is kept


def test_a_draining_server_closes_connections(state: ServerState) -> None:
    state.draining = True

    assert (b"connection", b"close") in state.common_headers(b"1", {})

"""How a server serves and stops: in a process, or in a thread where a test changes how long it waits."""

import re
import shutil
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from tests.service.conftest import DEADLINE, Graph, StartServer, classifier, publish
from tests.service.process.processes import (
    COMMAND,
    HEAD,
    HELD,
    REFUSED,
    REQUEST,
    ROWS,
    connect,
    wait_for_metric,
    wait_for_refusal,
)

from snooze.bundle.contract import Tensor
from snooze.service.app import Application, create_app
from snooze.service.http import connection as connection_module
from snooze.service.process.listener import listen
from snooze.service.process.server import Server
from snooze.service.settings import Settings

pytestmark = pytest.mark.process


@contextmanager
def serve_in_thread(app: Application) -> Iterator[tuple[Server, socket.socket]]:
    """Run a server in a thread, so that a test can change how long it waits for what."""
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    ready = threading.Event()
    server = Server(app, "nobody", ready.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        with socket.create_connection(address, DEADLINE) as connection:
            yield server, connection
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_an_open_request_is_answered_after_sigterm(start_server: StartServer, repository: Path, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    server = start_server(repository / "slow", command=(str(HELD), str(hold)))
    server.wait_for("serving")
    hold.touch()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/predict", {"rows": [1]})
        wait_for_metric(server, 'snooze_in_flight{model="slow",version="1"} 1')
        server.process.send_signal(signal.SIGTERM)
        wait_for_refusal(server)
        hold.unlink()

        assert answer.result()["predictions"] == [{"value": 1}]
    assert server.process.wait(DEADLINE) == 0
    assert server.text().endswith("snooze: stopped (SIGTERM)\n")


def test_requests_on_open_connections_are_answered_while_stopping(
    tumour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "NEXT_REQUEST", DEADLINE)
    monkeypatch.setattr(connection_module, "FIRST_REQUEST", DEADLINE)
    app = create_app(Settings(models=(tumour,), log="off"))
    with (
        serve_in_thread(app) as (server, fresh),
        socket.create_connection(fresh.getpeername(), DEADLINE) as kept,
    ):
        kept.sendall(REQUEST)
        assert kept.recv(10_000).startswith(b"HTTP/1.1 200")
        server.handle_exit(signal.SIGTERM, None)
        while not app.state.draining:
            time.sleep(0.001)
        for connection in (kept, fresh):
            connection.sendall(REQUEST)
            answer = connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer


def test_half_a_request_is_not_waited_for_without_end(tumour: Path) -> None:
    settings = Settings(models=(tumour,), log="off", client_timeout=0.05)
    with serve_in_thread(create_app(settings)) as (_, connection):
        connection.sendall(HEAD)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("idle", [(), ("--idle", "60s")])
def test_a_flood_of_new_connections_loses_nothing_when_it_stops(
    start_server: StartServer, tumour: Path, idle: tuple[str, ...]
) -> None:
    """A connection that the kernel has told its client is established is answered; a later one is refused."""
    server = start_server(
        command=("-c", COMMAND, "serve", str(tumour), "--host", "127.0.0.1", *idle), SNOOZE_LOG="text"
    )
    server.wait_for("waiting on" if idle else "serving")
    answered: list[bytes] = []
    lost: list[bytes] = []

    def ask_until_refused() -> None:
        while True:
            try:
                connection = connect(server)
            except OSError:
                return
            with connection:
                try:
                    connection.sendall(REQUEST)
                    answer = connection.recv(10_000)
                except OSError as error:
                    answer = repr(error).encode()
                whole = answer.startswith(b"HTTP/1.1 200") or (idle and answer.endswith(REFUSED))
                (answered if whole else lost).append(answer)

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask_until_refused) for _ in range(8)]
        while len(answered) < 100:
            time.sleep(0.001)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.result()

    assert lost == []
    assert server.process.wait(DEADLINE) == 0


def test_what_runs_too_long_is_given_up(start_server: StartServer, repository: Path, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    server = start_server(repository / "slow", command=(str(HELD), str(hold)), SNOOZE_GRACE="100ms")
    server.wait_for("serving")
    hold.touch()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/predict", {"rows": [1]})
        wait_for_metric(server, 'snooze_in_flight{model="slow",version="1"} 1')

        assert server.stop() == 0
        assert answer.exception() is not None
    assert "gave up 1 requests" in server.text()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_ends_a_server_quietly(
    start_server: StartServer, tumour: Path, number: signal.Signals, name: str
) -> None:
    server = start_server(tumour)
    server.wait_for("serving")
    server.process.send_signal(number)

    assert server.process.wait(DEADLINE) == 0
    assert server.text().splitlines()[1:] == [f"snooze: stopped ({name})"]


@pytest.mark.parametrize("idle", [{}, {"SNOOZE_IDLE": "1ms"}])
def test_half_a_body_is_no_prediction_and_holds_up_no_end(
    start_server: StartServer, tumour: Path, idle: dict[str, str]
) -> None:
    server = start_server(tumour, SNOOZE_MAX_IN_FLIGHT="1", SNOOZE_GRACE="1h", **idle)
    server.wait_for("serving")
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n[[")
        if not idle:
            assert server.post("/predict", ROWS)["model"] == "tumour"  # one at once is allowed, and this is it
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(DEADLINE) == 0  # not after the grace
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_signal_and_a_watch_load_what_is_new_while_requests_are_answered(
    start_server: StartServer, tmp_path: Path
) -> None:
    """No answer is missing or wrong while versions come and go, one of which is bad."""
    models = tmp_path / "models"
    publish(models, "tumour", classifier())
    server = start_server(models, SNOOZE_WATCH="on")
    server.wait_for("serving")
    stop = threading.Event()

    def ask() -> list[int]:
        versions = []
        while not stop.is_set():
            versions.append(server.post("/predict", ROWS)["version"])
        return versions

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            publish(models, "tumour", classifier())
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded, serving tumour/1, tumour/2")
            bad = publish(models, "tumour", classifier())
            (bad / "model.onnx").write_bytes(b"")
            server.wait_for("refused tumour/3")
            shutil.rmtree(models / "tumour" / "1")
            server.wait_for("unloaded tumour/1")
        finally:
            stop.set()
    answered = [client.result() for client in clients]

    assert all(versions == sorted(versions) and set(versions) == {1, 2} for versions in answered)
    with urllib.request.urlopen(f"{server.url}/readyz", timeout=DEADLINE) as answer:
        assert answer.status == 200
    assert server.stop() == 0


def test_a_replaced_model_is_released(start_server: StartServer, tmp_path: Path) -> None:
    models, size = tmp_path / "models", 32 * 2**20
    publish(models, "table", table(size))
    server = start_server(models, SNOOZE_ALLOW_LOAD="on")
    server.wait_for("serving")

    def resident() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]

    loaded = resident()
    server.post("/v2/repository/models/table/unload", {})
    assert resident() < loaded - 0.75 * size
    server.post("/v2/repository/models/table/load", {})
    for version in range(2, 8):
        publish(models, "table", table(size))
        shutil.rmtree(models / "table" / str(version - 1))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(f"reloaded, serving table/{version}")
        assert server.post("/predict", [0])["version"] == version
    assert resident() < loaded + size


def table(size: int) -> Graph:
    """A row of a table of `size` bytes for each number."""
    nodes = [helper.make_node("Gather", ["table", "row"], ["value"])]
    inputs, outputs = [Tensor("row", "INT64", (-1,))], [Tensor("value", "FP32", (-1, 4), "value")]
    weights = {"table": np.random.default_rng(7).random((size // 16, 4), np.float32)}
    return Graph(nodes, inputs, outputs, {"row": np.arange(3)}, weights)


def test_a_server_stops_while_a_model_is_loaded(start_server: StartServer, tmp_path: Path) -> None:
    models = tmp_path / "models"
    publish(models, "tumour", classifier())
    server = start_server(models, SNOOZE_WATCH="on")
    server.wait_for("serving")
    publish(models, "table", table(64 * 2**20))
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.05)  # whatever it does by then, it must end well

    assert server.stop() == 0
    assert "Traceback" not in server.text()

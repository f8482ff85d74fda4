"""Real processes: how a server starts, what it does with requests while it stops, what it says if it cannot start."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.service.conftest import DEADLINE, Running, StartServer, classifier, publish

from snooze.service import Settings, create_app
from snooze.service import server as server_module
from snooze.service.app import Application
from snooze.service.listener import listen
from snooze.service.server import Server

pytestmark = pytest.mark.process

ROWS = {"rows": [[0.5] * 30]}
BODY = json.dumps(ROWS).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
WRITTEN = Path(__file__).with_name("cold_path_modules.txt")
HELD = Path(__file__).with_name("held_server.py")
COMMAND = "import sys; from snooze.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def tumour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one quick model."""
    root = tmp_path_factory.mktemp("tumour")
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    return root


def wait_for_metric(server: Running, line: str) -> None:
    """Wait until /metrics holds a line."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=DEADLINE) as answer:
            if line in answer.read().decode():
                return
        time.sleep(0.01)
    raise AssertionError(f"{line!r} did not come")


def wait_for_refusal(server: Running) -> None:
    """Wait until nobody can connect any more."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            connect(server, 0.2).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("it still listens")


def connect(server: Running, timeout: float = DEADLINE) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout)


def wait_for_port(server: Running) -> None:
    """Wait until the server listens, without connecting."""
    end = time.monotonic() + DEADLINE
    while f":{server.port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < end
        time.sleep(0.001)


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


def test_the_first_answer_carries_the_cold_start(start_server: StartServer, tumour: Path) -> None:
    server = start_server(tumour, SNOOZE_LOG="json", K_REVISION="tumour-00001")
    server.wait_for('"ready"')
    ready = json.loads(server.text().splitlines()[0])

    timings = []
    for _ in range(2):
        with urllib.request.urlopen(f"{server.url}/predict", BODY, DEADLINE) as answer:
            timings.append(answer.headers["Server-Timing"])
            assert answer.headers["Snooze-Revision"] == "tumour-00001"
    total = sum(float(part.split("=")[1]) for part in timings[0].split(", ")) / 1e3

    assert timings[1] is None
    assert total == pytest.approx(sum(ready["phases"].values()), abs=0.001)
    assert re.fullmatch(r"serving tumour/1 on http://127\.0\.0\.1:\d+ after \d+ ms", ready["message"])
    assert server.stop() == 0


def test_a_client_that_connects_early_waits_and_is_answered(
    start_server: StartServer, tumour: Path, tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    server = start_server(tumour, command=(str(HELD), str(hold)))
    wait_for_port(server)
    with connect(server) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert "serving" not in server.text()
        hold.unlink()
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_phases_are_all_there_is(start_server: StartServer, tumour: Path) -> None:
    spawned = time.time()
    server = start_server(tumour, SNOOZE_LOG="json")
    server.wait_for('"ready"')
    ready = json.loads(server.text().splitlines()[0])
    took = ready["time"] - spawned

    # The kernel notes the start of a process to 10 ms; making the process is the time of a busy test machine.
    assert sum(ready["phases"].values()) == pytest.approx(took, rel=0.05, abs=0.06)


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
    monkeypatch.setattr(server_module, "LINGER", DEADLINE)
    monkeypatch.setattr(server_module, "FIRST_REQUEST", DEADLINE)
    app = create_app(Settings(models=(tumour,), log="off"))
    with (
        serve_in_thread(app) as (server, fresh),
        socket.create_connection(fresh.getpeername(), DEADLINE) as kept,
    ):
        kept.sendall(REQUEST)
        assert kept.recv(10_000).startswith(b"HTTP/1.1 200")
        server.handle_exit(signal.SIGTERM, None)
        while not app.desk.draining:
            time.sleep(0.001)
        for connection in (kept, fresh):
            connection.sendall(REQUEST)
            answer = connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer


def test_half_a_request_is_not_waited_for_without_end(tumour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_TIMEOUT", 0.05)
    with serve_in_thread(create_app(Settings(models=(tumour,), log="off"))) as (_, connection):
        connection.sendall(HEAD)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("idle", [(), ("--idle", "60s")])
def test_a_flood_of_new_connections_loses_nothing_when_it_stops(
    start_server: StartServer, tumour: Path, idle: tuple[str, ...]
) -> None:
    """What the kernel has told a client to be established is answered; who comes later is refused, not cut off."""
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
                (answered if answer.startswith(b"HTTP/1.1 200") else lost).append(answer)

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


@pytest.mark.parametrize("delay", [0.03, 0.06, 0.1])
def test_ctrl_c_while_starting_leaves_no_traceback(start_server: StartServer, tumour: Path, delay: float) -> None:
    server = start_server(tumour)
    wait_for_port(server)
    time.sleep(delay)  # whatever it does by then, it must end well
    server.process.send_signal(signal.SIGINT)

    assert server.process.wait(DEADLINE) in (130, 0)
    assert "Traceback" not in server.text()


def test_a_port_in_use_is_one_line(start_server: StartServer, tumour: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start_server(tumour, PORT=str(port))

        assert server.process.wait(DEADLINE) == 2
    assert server.text() == (
        f"snooze: port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port or PORT "
        "(0 takes a free one)\n"
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"SNOOZE_MODELS": "/nowhere"}, "snooze: /nowhere is not a bundle: the folder does not exist"),
        ({"PORT": "http"}, "snooze: PORT='http': expected a whole number from 0 to 65535"),
        (
            {"SNOOZE_MAX_BODY": "much"},
            "snooze: SNOOZE_MAX_BODY='much': expected a number of bytes such as 16777216 or 16MiB",
        ),
    ],
)
def test_a_bad_setting_is_one_line(start_server: StartServer, variables: dict[str, str], line: str) -> None:
    server = start_server(**variables)

    assert server.process.wait(DEADLINE) == 2
    assert server.text() == f"{line}\n"


def test_missing_packages_are_named_with_the_command(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.py"
    hidden.write_text(
        "import sys, runpy; sys.modules['uvicorn'] = None; runpy.run_module('snooze.service', run_name='__main__')"
    )
    server = start_server(tumour, command=(str(hidden),))

    assert server.process.wait(DEADLINE) == 2
    assert server.text() == "snooze: 'uvicorn' is not installed; run: pip install 'snooze[service]'\n"


def test_an_empty_repository_is_one_line(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    server = start_server(tmp_path / "empty")

    assert server.process.wait(DEADLINE) == 2
    assert server.text().startswith(f"snooze: {tmp_path / 'empty'} is not a bundle: it contains no model")
    assert server.text().count("\n") == 1


def test_a_changed_byte_is_one_line(start_server: StartServer, tmp_path: Path) -> None:
    folder = publish(tmp_path / "models", "tumour", classifier())
    content = bytearray((folder / "model.onnx").read_bytes())
    content[100] ^= 1
    (folder / "model.onnx").write_bytes(content)
    server = start_server(tmp_path / "models")

    assert server.process.wait(DEADLINE) == 2
    assert server.text().startswith(f"snooze: {folder / 'model.onnx'} was changed after the bundle was written: ")
    assert server.text().count("\n") == 1


def test_a_cold_start_imports_only_what_is_written(tumour: Path) -> None:
    """`cold_path_modules.txt` is a budget: a line more is some milliseconds more for every first answer."""
    # A measurement of coverage would import modules of its own.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    listed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("list_cold_modules.py"))],
        env={**environ, "SNOOZE_MODELS": str(tumour), "SNOOZE_HOST": "127.0.0.1", "PORT": "0"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    ).stdout.split()
    allowed = {line for line in WRITTEN.read_text().splitlines() if line and not line.startswith("#")}

    checked = set(listed)
    if sys.version_info[:2] != (3, 11):
        checked -= sys.stdlib_module_names  # each version of Python has its own
        allowed -= sys.stdlib_module_names

    assert sorted(checked - allowed) == []


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

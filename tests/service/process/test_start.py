"""Real processes: how a server starts, what it does if a signal comes before, what it says if it cannot start."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.service.conftest import DEADLINE, StartServer, classifier, publish
from tests.service.process.processes import BODY, HELD, REFUSED, REQUEST, connect, wait_for_port

pytestmark = pytest.mark.process

WRITTEN = Path(__file__).with_name("cold_path_modules.txt")


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


def test_serves_without_assertions_and_docstrings(start_server: StartServer, tumour: Path) -> None:
    """As in the image. An assertion must not do work that is needed."""
    server = start_server(tumour, PYTHONOPTIMIZE="2", PYTHONDONTWRITEBYTECODE="1")
    server.wait_for("serving")

    for path, body in (("/predict", BODY), ("/v2/repository/index", b"{}"), ("/v2/models/tumour", None)):
        with urllib.request.urlopen(server.url + path, body, DEADLINE) as answer:
            assert "tumour" in answer.read().decode()
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=DEADLINE) as answer:
        assert b"snooze_requests_total" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.url}/nowhere", timeout=DEADLINE)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{server.url}/predict", b"{", DEADLINE)
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


def test_the_phases_sum_to_the_whole_start(start_server: StartServer, tumour: Path) -> None:
    server = start_server(tumour, SNOOZE_LOG="json")
    server.wait_for('"ready"')
    stat = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    used, created = (sum(map(int, stat[at])) / os.sysconf("SC_CLK_TCK") for at in (slice(11, 13), slice(19, 20)))
    ready = json.loads(server.text().splitlines()[0])
    took = ready["time"] - time.time() + time.clock_gettime(time.CLOCK_BOOTTIME) - created

    assert sum(ready["phases"].values()) == pytest.approx(took, rel=0.05, abs=0.02)  # the kernel's tick is 10 ms
    assert sum(ready["cpu"].values()) <= used + 0.02
    assert all(seconds > 0 for clock in ("phases", "cpu") for seconds in ready[clock].values())
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=DEADLINE) as answer:
        metrics = answer.read().decode()
    for clock, name in (("wall", "phases"), ("cpu", "cpu")):
        line = f'snooze_cold_start_seconds{{phase="imports",clock="{clock}"}} {round(ready[name]["imports"], 6)}'
        assert line in metrics


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
        ({"PORT": "http"}, "snooze: PORT='http': expected an integer from 0 to 65535"),
        (
            {"SNOOZE_MAX_BODY": "much"},
            "snooze: SNOOZE_MAX_BODY='much': expected a size such as 1000000, 64KiB or 4M",
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


def test_a_cold_start_imports_only_what_is_listed(tumour: Path) -> None:
    """`cold_path_modules.txt` is a budget: each more module costs every first answer some milliseconds."""
    # A measurement of coverage would import modules of its own.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    output = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("list_cold_modules.py"))],
        env={**environ, "SNOOZE_MODELS": str(tumour), "SNOOZE_HOST": "127.0.0.1", "PORT": "0"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    ).stdout
    found = json.loads(output)
    allowed = {line for line in WRITTEN.read_text().splitlines() if line and not line.startswith("#")}
    if sys.version_info[:2] != (3, 11):
        allowed |= sys.stdlib_module_names  # each version of Python has its own

    assert [name for name in found["modules"] if name not in allowed] == []
    assert found["late"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_starting_refuses_those_who_wait(
    start_server: StartServer, tumour: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The model is held, so the server never becomes ready; a large body and a silent client wait as well."""
    hold = tmp_path / "hold"
    hold.touch()
    server = start_server(tumour, command=(str(HELD), str(hold)))
    wait_for_port(server)
    connections = [connect(server) for _ in range(40)]
    large = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b" " * 200_000
    for connection in connections[2:]:
        connection.sendall(REQUEST)
    connections[1].sendall(large)
    server.process.send_signal(number)

    for connection in connections:
        with connection:
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n")
        assert answer.endswith(REFUSED)
    assert server.process.wait(DEADLINE) == (130 if number == signal.SIGINT else 0)
    assert server.text() == ""


def test_a_reload_that_is_asked_for_too_early_happens_when_it_is_ready(
    start_server: StartServer, tumour: Path, tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    server = start_server(tumour, command=(str(HELD), str(hold)))
    wait_for_port(server)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.05)
    hold.unlink()

    server.wait_for("reloaded, serving tumour/1")
    assert server.stop() == 0


def test_a_terminal_that_is_closed_ends_the_server(tumour: Path) -> None:
    ours, theirs = os.openpty()
    environ = {**os.environ, "SNOOZE_MODELS": str(tumour), "SNOOZE_HOST": "127.0.0.1", "PORT": "0"}
    environ["SNOOZE_LOG"] = "text"
    command = [sys.executable, "-m", "snooze.service"]
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        while b"serving" not in os.read(ours, 1000):
            pass
        process.send_signal(signal.SIGHUP)
        while b"reloaded" not in os.read(ours, 1000):
            pass
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # as the shell does for its jobs

        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes; a reset raises."""
    answer = b""
    while got := connection.recv(65536):
        answer += got
    return answer


def test_nothing_is_written_but_the_log(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    """Not even a folder for temporary files is needed: no file may grow, and none is opened for writing."""
    unwritable = tmp_path / "unwritable.py"
    unwritable.write_text(
        "import os, resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "def refuse(event, arguments):\n"
        "    if event == 'open' and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):\n"
        "        os.write(2, f'opened {arguments[0]} for writing'.encode())\n"
        "        os._exit(9)\n"
        "sys.addaudithook(refuse)\n"
        "runpy.run_module('snooze.service', run_name='__main__')\n"
    )
    read, write = os.pipe()
    environ = {**os.environ, "SNOOZE_MODELS": str(tumour), "SNOOZE_HOST": "127.0.0.1", "PORT": "0"}
    environ.update(TMPDIR="/nonexistent", HOME="/nonexistent", SNOOZE_LOG="text", PYTHONDONTWRITEBYTECODE="1")
    process = subprocess.Popen([sys.executable, str(unwritable)], env=environ, stderr=write, cwd="/")
    os.close(write)
    with process, os.fdopen(read) as log:
        try:
            port = re.search(r"http://127\.0\.0\.1:(\d+)", log.readline())
            assert port
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/predict", BODY, DEADLINE) as answer:
                assert json.load(answer)["model"] == "tumour"
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=DEADLINE) as answer:
                assert b"snooze_requests_total" in answer.read()
        finally:
            process.terminate()
        assert process.wait(DEADLINE) == 0
        assert log.read() == "snooze: stopped (SIGTERM)\n"

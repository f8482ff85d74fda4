"""Scale to zero on one machine, with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.service.conftest import DEADLINE, Running, StartServer, classifier, publish
from tests.service.process.processes import COMMAND, HELD, REFUSED, REQUEST, ROWS, connect, start_idle

from snooze.service.process import idle
from snooze.service.process.idle import LISTENER, Refusal

pytestmark = pytest.mark.process


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_wakes_sleeps_and_wakes_again(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "300ms")
    assert children(server.process.pid) == []

    for turn in (1, 2):
        assert server.post("/predict", ROWS)["model"] == "tumour"
        server.wait_for("woke in ", turn)
        server.wait_for("stopped (idle)", turn)
        server.wait_for("asleep, waiting on", turn + 1)
        assert children(server.process.pid) == []

    assert server.text().count("woke in ") == 2
    assert server.stop() == 0


def test_the_parent_holds_next_to_nothing(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "60s")
    pss = next(
        int(line.split()[1])
        for line in Path(f"/proc/{server.process.pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )

    assert pss < 12_000  # KiB; a server has five times as much


def test_a_connection_that_meets_a_leaving_server_is_answered(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "200ms")
    lost = 0
    for _ in range(12):
        time.sleep(0.05)
        try:
            server.post("/predict", ROWS)
        except OSError:
            lost += 1
        time.sleep(0.15)  # about when it leaves

    assert lost == 0
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_as_well(start_server: StartServer, tumour: Path, number: signal.Signals) -> None:
    server = start_idle(start_server, tumour, "60s")
    server.post("/predict", ROWS)
    (child,) = children(server.process.pid)
    server.process.send_signal(number)

    assert server.process.wait(DEADLINE) == 0
    assert not Path(f"/proc/{child}").exists()
    assert server.text().endswith("snooze: stopped (SIGTERM)\nsnooze: stopped\n")


def test_a_server_that_cannot_start_is_not_tried_again_at_once(start_server: StartServer, tmp_path: Path) -> None:
    folder = publish(tmp_path / "models", "tumour", classifier())
    server = start_idle(start_server, tmp_path / "models", "60s")
    (folder / "samples.npz").write_bytes(b"broken")

    with connect(server) as connection, connect(server) as silent:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(1000)
        assert silent.recv(1000) == answer

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n")
    assert answer.endswith(b'{"error":"the server does not start; its log says why"}')
    assert "samples.npz was changed after the bundle was written" in server.text()
    assert server.text().count("the server ended with exit code 2; trying again in 1 s at the earliest") == 1


def test_a_broken_start_shows_before_anybody_connects(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(command=("-c", COMMAND, "serve", str(tmp_path), "--idle", "60s"))

    assert server.process.wait(DEADLINE) == 2
    assert server.text().startswith(f"snooze: {tmp_path} is not a bundle: it contains no model")


def test_a_socket_can_be_handed_over_as_systemd_does(tumour: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as stderr:
        port = listener.getsockname()[1]
        program = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'snooze.service'])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(listener.fileno())],
            env={**os.environ, "SNOOZE_MODELS": str(tumour), "SNOOZE_IDLE": "200ms", "SNOOZE_LOG": "text"},
            pass_fds=[listener.fileno()],
            stderr=stderr,
        )
        server = Running(process, port, log)
        answer = server.post("/predict", ROWS)

        assert answer["model"] == "tumour"
        assert process.wait(DEADLINE) == 0
    assert "stopped (idle)" in server.text()
    assert LISTENER == 3


def test_the_shortest_idle_time_still_answers(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "1ms")

    for turn in (1, 2):
        assert server.post("/predict", ROWS)["model"] == "tumour"
        server.wait_for("asleep, waiting on", turn + 1)
    assert server.text().count("woke in ") == 2
    assert server.stop() == 0


def test_who_connects_and_asks_nothing_does_not_keep_it_awake(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "1ms")
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE):
        server.wait_for("asleep, waiting on", 2)
    assert server.stop() == 0


def test_a_server_whose_parent_was_killed_gives_up_the_port(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "60s")
    server.post("/predict", ROWS)
    server.process.kill()
    server.process.wait(DEADLINE)

    server.wait_for("stopped (the parent process that held the socket is gone)")
    end = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_server(("127.0.0.1", server.port)).close()
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_server_that_was_killed_is_started_again_at_once(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "60s")
    for turn in (1, 2):
        server.post("/predict", ROWS)  # raises on a 503
        (child,) = children(server.process.pid)
        os.kill(child, signal.SIGKILL)
        server.wait_for("the server ended with exit code -9; the next connection starts it again", turn)

    assert server.post("/predict", ROWS)["model"] == "tumour"
    assert server.stop() == 0


def test_a_server_that_was_halted_is_stopped_all_the_same(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "60s")
    server.post("/predict", ROWS)
    (child,) = children(server.process.pid)
    os.kill(child, signal.SIGSTOP)

    try:
        assert server.stop() == 0
        assert not Path(f"/proc/{child}").exists()
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # a halted server ends with nobody


def test_a_server_that_does_not_end_is_killed_after_its_grace(
    start_server: StartServer, tumour: Path, tmp_path: Path
) -> None:
    """What looks like a server here takes no notice of SIGTERM."""
    deaf = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    program = (
        "import os, socket, sys; from snooze.service.process import idle; "
        "listener = socket.create_server(('127.0.0.1', int(os.environ['PORT']))); "
        "os.dup2(listener.fileno(), 3); os.set_inheritable(3, True); "
        "idle.SocketHolder('here', [sys.executable, '-c', sys.argv[1]]).run()"
    )
    server = start_server(command=("-c", program, f"{deaf}; time.sleep(60)"), SNOOZE_GRACE="0.1")
    server.wait_for("asleep, waiting on")
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE):
        server.wait_for("deaf")
        (child,) = children(server.process.pid)

        assert server.stop() == 0
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_command_and_the_parent_is_not_lost(tumour: Path, number: signal.Signals) -> None:
    """The command becomes the parent by `exec`; the signal comes just before, when nobody has a handler for it."""
    program = (
        "import os, signal, sys; from snooze import cli; execve = os.execve\n"
        "def interrupted(*arguments):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    execve(*arguments)\n"
        "os.execve = interrupted; sys.exit(cli.main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "serve", str(tumour), "--idle", "60s", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (ended.returncode, ended.stderr.splitlines()[-1:]) == (0, ["snooze: stopped"])
    assert "Traceback" not in ended.stderr


def test_what_lies_in_the_users_folder_is_not_imported(
    start_server: StartServer, tumour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orjson.py").write_text("raise SystemExit('this is not orjson')")
    monkeypatch.chdir(tmp_path)
    code = "import sys; sys.path.remove(''); from snooze.cli import main; sys.exit(main())"
    server = start_server(command=("-c", code, "serve", str(tumour), "--idle", "60s"))
    server.wait_for("asleep, waiting on")

    assert server.post("/predict", ROWS)["model"] == "tumour"
    assert server.stop() == 0


def start_held(start_server: StartServer, tumour: Path, hold: Path) -> Running:
    """Start a parent whose server's model does not run while `hold` exists."""
    program = (
        "import os, socket, sys; from snooze.service.process import idle; "
        "listener = socket.create_server(('127.0.0.1', int(os.environ['PORT']))); "
        "os.dup2(listener.fileno(), 3); os.set_inheritable(3, True); "
        "idle.SocketHolder('here', [sys.executable, *sys.argv[1:]]).run()"
    )
    server = start_server(tumour, command=("-c", program, str(HELD), str(hold)), SNOOZE_IDLE="60s")
    server.wait_for("asleep, waiting on")
    return server


@pytest.mark.parametrize("asleep", [True, False])
def test_a_signal_while_the_server_starts_refuses_those_who_wait(
    start_server: StartServer, tumour: Path, tmp_path: Path, asleep: bool
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    server = start_held(start_server, tumour, hold)
    if asleep:
        os.kill(server.process.pid, signal.SIGSTOP)  # so that it sees connections and signal at once
    connections = [connect(server) for _ in range(20)]
    for connection in connections[1:]:
        connection.sendall(REQUEST)
    if not asleep:
        while not children(server.process.pid):
            time.sleep(0.001)
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGCONT)

    for connection in connections:
        with connection:
            assert connection.recv(10_000).endswith(REFUSED)
            assert connection.recv(10_000) == b""
    assert server.process.wait(DEADLINE) == 0
    assert server.text().endswith("snooze: stopped\n")


def test_a_server_that_alone_is_told_to_stop_leaves_the_socket_open(start_server: StartServer, tumour: Path) -> None:
    server = start_idle(start_server, tumour, "60s")
    for turn in (1, 2):
        assert server.post("/predict", ROWS)["model"] == "tumour"
        (child,) = children(server.process.pid)
        os.kill(child, signal.SIGTERM)
        server.wait_for("asleep, waiting on", turn + 1)

    assert server.stop() == 0


def test_queued_connections_are_refused_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sent a request, one that sends nothing, and one that is gone."""
    monkeypatch.setattr(idle, "REQUEST_WAIT", 0.05)
    listener = socket.create_server(("127.0.0.1", 0))
    refusal = Refusal(listener, "the server is stopping", 3.0)
    asking, silent, gone = (socket.create_connection(listener.getsockname(), DEADLINE) for _ in range(3))
    asking.sendall(REQUEST)
    gone.close()

    refusal.answer(0.02)
    late = socket.create_connection(listener.getsockname(), DEADLINE)
    late.sendall(REQUEST)
    refusal.finish()

    for client in (asking, silent, late):
        answer = client.makefile("rb").read()
        client.close()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3\r\n")
        assert answer.endswith(b'{"error":"the server is stopping"}')
    assert listener.fileno() == -1


def test_a_hangup_reaches_the_server_and_nobody_else(start_server: StartServer, tmp_path: Path) -> None:
    models = tmp_path / "models"
    publish(models, "tumour", classifier())
    server = start_idle(start_server, models, "60s")
    server.process.send_signal(signal.SIGHUP)  # nobody is there to reload
    assert server.post("/predict", ROWS)["version"] == 1
    publish(models, "tumour", classifier())
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded, serving tumour/1, tumour/2")

    assert server.post("/predict", ROWS)["version"] == 2
    assert server.stop() == 0

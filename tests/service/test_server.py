"""Real processes: how a server starts, what it does with requests while it stops, what it says if it cannot start."""

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.service.conftest import Running, StartServer, classifier, publish

ROWS = {"rows": [[0.5] * 30]}
WRITTEN = Path(__file__).with_name("cold_path_modules.txt")
SLOW = {"rows": [1500]}


@pytest.fixture(scope="module")
def tumour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one quick model."""
    root = tmp_path_factory.mktemp("tumour")
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    return root


def until(server: Running, reached: str, seconds: float = 20) -> None:
    """Wait until a metric's line is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=5) as answer:
            if reached in answer.read().decode():
                return
        time.sleep(0.01)
    raise AssertionError(f"{reached!r} did not come")


def test_the_first_answer_carries_the_cold_start(start_server: StartServer, tumour: Path) -> None:
    server = start_server(tumour, SNOOZE_LOG="json", K_REVISION="tumour-00001")
    server.wait_for('"ready"')
    ready = json.loads(server.text().splitlines()[0])

    body = json.dumps(ROWS).encode()
    timings = []
    for _ in range(2):
        with urllib.request.urlopen(f"{server.url}/predict", body, 10) as answer:
            timings.append(answer.headers["Server-Timing"])
            assert answer.headers["Snooze-Revision"] == "tumour-00001"
    total = sum(float(part.split("=")[1]) for part in timings[0].split(", ")) / 1e3

    assert timings[1] is None
    assert total == pytest.approx(sum(ready["phases"].values()), abs=0.001)
    assert re.fullmatch(r"serving tumour/1 on http://127\.0\.0\.1:\d+ after \d+ ms", ready["message"])
    assert server.stop() == 0


def test_a_client_that_connects_early_waits_and_is_answered(start_server: StartServer, tumour: Path) -> None:
    server = start_server(tumour)
    head = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", server.port), 10)
            break
        except ConnectionRefusedError:
            time.sleep(0.002)
    with connection:
        connection.sendall(head)
        assert "serving" not in server.text()  # it came before the server was ready
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_phases_are_all_there_is(start_server: StartServer, tumour: Path) -> None:
    spawned = time.time()
    server = start_server(tumour, SNOOZE_LOG="json")
    server.wait_for('"ready"')
    ready = json.loads(server.text().splitlines()[0])
    took = ready["time"] - spawned

    # The kernel notes the start of a process to 10 ms; making the process is the time of a busy test machine.
    assert sum(ready["phases"].values()) == pytest.approx(took, rel=0.05, abs=0.06)


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_every_kind_of_exchange_is_whole(start_server: StartServer, tumour: Path, tmp_path: Path, parser: str) -> None:
    hidden = tmp_path / "hidden.py"
    hide = "" if parser == "httptools" else "import sys; sys.modules['uvloop'] = sys.modules['httptools'] = None; "
    hidden.write_text(f"{hide}import runpy; runpy.run_module('snooze.service', run_name='__main__')")
    server = start_server(tumour, command=(str(hidden),))
    server.wait_for("serving")
    body = json.dumps(ROWS).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    chunked = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection, connection.makefile("rb") as answers:

        def answer(sent: bytes, bodiless: bool = False) -> tuple[bytes, bytes]:
            connection.sendall(sent)
            status = answers.readline()
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b": ")
                length = int(value) if name == b"content-length" else length
            return status, b"" if bodiless else answers.read(length)

        assert answer(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", bodiless=True)[0] == b"HTTP/1.1 200 OK\r\n"
        assert b'"tumour"' in answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)[1]
        upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        assert b'"tumour"' in answer(head + upgrade + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))[1]
        assert answer(head + b"Content-Length: 999999999\r\n\r\n" + b"x" * 10)[0].startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(
            head + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        (b"this is\r\nno HTTP\r\n\r\n", 400, "this is not a valid HTTP request"),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * 66_000, 431, "the head is larger than 65536 bytes"),
    ],
)
def test_what_is_no_request_is_refused_in_the_same_form(
    start_server: StartServer, tumour: Path, sent: bytes, status: int, error: str
) -> None:
    server = start_server(tumour)
    server.wait_for("serving")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(sent)
        answer = connection.recv(1000)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.endswith(json.dumps({"error": error}, separators=(",", ":")).encode())


def test_an_open_request_is_answered_after_sigterm(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository / "slow")
    server.wait_for("serving")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/predict", SLOW)
        until(server, 'snooze_in_flight{model="slow",version="1"} 1')
        server.process.send_signal(signal.SIGTERM)

        assert answer.result()["predictions"] == [{"value": 1500}]
    assert server.process.wait(5) == 0
    assert server.text().endswith("snooze: stopped (SIGTERM)\n")


def test_requests_on_open_connections_are_answered_while_stopping(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository / "slow")
    server.wait_for("serving")
    body = b'{"rows":[1]}'
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with (
        ThreadPoolExecutor(1) as pool,
        socket.create_connection(("127.0.0.1", server.port), 10) as kept,
        socket.create_connection(("127.0.0.1", server.port), 10) as fresh,
    ):
        kept.sendall(request)
        assert kept.recv(10_000).startswith(b"HTTP/1.1 200")
        busy = pool.submit(server.post, "/predict", SLOW)
        until(server, 'snooze_in_flight{model="slow",version="1"} 1')
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # both requests come while the server is stopping
        for connection in (kept, fresh):
            connection.sendall(request)
        for connection in (kept, fresh):
            answer = connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer
        assert busy.result()["predictions"] == [{"value": 1500}]
    assert server.process.wait(5) == 0


@pytest.mark.parametrize("idle", [(), ("--idle", "60s")])
def test_a_flood_of_new_connections_loses_nothing_when_it_stops(
    start_server: StartServer, tumour: Path, idle: tuple[str, ...]
) -> None:
    """What the kernel has told a client to be established is answered; who comes later is refused, not cut off."""
    code = "import sys; from snooze.cli import main; sys.exit(main())"
    server = start_server(command=("-c", code, "serve", str(tumour), "--host", "127.0.0.1", *idle), SNOOZE_LOG="text")
    server.wait_for("waiting on" if idle else "serving")
    server.post("/predict", ROWS)
    body = json.dumps(ROWS).encode()
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def ask_until_refused() -> tuple[int, int]:
        answered = 0
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", server.port), 5)
            except OSError:
                return answered, 0
            with connection:
                try:
                    connection.sendall(request)
                    if not connection.recv(10_000).startswith(b"HTTP/1.1 200"):
                        return answered, 1
                except OSError:
                    return answered, 1
            answered += 1

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask_until_refused) for _ in range(8)]
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        outcomes = [client.result() for client in clients]

    assert sum(lost for _, lost in outcomes) == 0
    assert sum(answered for answered, _ in outcomes) > 0
    assert server.process.wait(5) == 0


def test_an_offer_of_http2_in_a_body_is_left_in_it(start_server: StartServer, tumour: Path) -> None:
    """The body comes in a packet of its own, and looks like a head that offers HTTP/2."""
    server = start_server(tumour)
    server.wait_for("serving")
    body = b'{"rows":[[' + b",".join([b"0.5"] * 30) + b']],"note":"' + b"\\r\\n" + b'"}\r\nUpgrade: h2c\r\n'
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        time.sleep(0.1)
        connection.sendall(body)
        answer = connection.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 400 ")  # all of it came: this is no JSON
    assert b"JSON" in answer


def test_what_runs_too_long_is_given_up(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository / "slow", SNOOZE_GRACE="100ms")
    server.wait_for("serving")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/predict", {"rows": [100_000]})
        until(server, 'snooze_in_flight{model="slow",version="1"} 1')

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

    assert server.process.wait(5) == 0
    assert server.text().splitlines()[1:] == [f"snooze: stopped ({name})"]


@pytest.mark.parametrize("delay", [0.03, 0.06, 0.1])
def test_ctrl_c_while_starting_leaves_no_traceback(start_server: StartServer, tumour: Path, delay: float) -> None:
    server = start_server(tumour)
    while f":{server.port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        time.sleep(0.001)
    time.sleep(delay)
    server.process.send_signal(signal.SIGINT)

    assert server.process.wait(5) in (130, 0)
    assert "Traceback" not in server.text()


def test_a_port_in_use_is_one_line(start_server: StartServer, tumour: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start_server(tumour, PORT=str(port))

        assert server.process.wait(10) == 2
    assert server.text() == (
        f"snooze: port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port or PORT "
        "(0 takes a free one)\n"
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"SNOOZE_MODELS": "/nowhere"}, "snooze: /nowhere is not a bundle: there is no such folder"),
        ({"PORT": "http"}, "snooze: PORT='http': expected a whole number from 0 to 65535"),
        (
            {"SNOOZE_MAX_BODY": "much"},
            "snooze: SNOOZE_MAX_BODY='much': expected a number of bytes such as 16777216 or 16MiB",
        ),
    ],
)
def test_a_bad_setting_is_one_line(start_server: StartServer, variables: dict[str, str], line: str) -> None:
    server = start_server(**variables)

    assert server.process.wait(10) == 2
    assert server.text() == f"{line}\n"


def test_missing_packages_are_named_with_the_command(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.py"
    hidden.write_text(
        "import sys, runpy; sys.modules['uvicorn'] = None; runpy.run_module('snooze.service', run_name='__main__')"
    )
    server = start_server(tumour, command=(str(hidden),))

    assert server.process.wait(10) == 2
    assert server.text() == "snooze: 'uvicorn' is not installed; run: pip install 'snooze[service]'\n"


def test_an_empty_repository_is_one_line(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    server = start_server(tmp_path / "empty")

    assert server.process.wait(10) == 2
    assert server.text().startswith(f"snooze: {tmp_path / 'empty'} is not a bundle: it holds no model")
    assert server.text().count("\n") == 1


def test_a_changed_byte_is_one_line(start_server: StartServer, tmp_path: Path) -> None:
    folder = publish(tmp_path / "models", "tumour", classifier())
    content = bytearray((folder / "model.onnx").read_bytes())
    content[100] ^= 1
    (folder / "model.onnx").write_bytes(content)
    server = start_server(tmp_path / "models")

    assert server.process.wait(10) == 2
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
        timeout=30,
        check=True,
    ).stdout.split()
    allowed = {line for line in WRITTEN.read_text().splitlines() if line and not line.startswith("#")}

    checked = set(listed)
    if sys.version_info[:2] != (3, 11):
        checked -= sys.stdlib_module_names  # each version of Python has its own
        allowed -= sys.stdlib_module_names

    assert sorted(checked - allowed) == []
    assert sorted(allowed - checked) == []


def ask(server: Running, *parts: bytes, pause: float = 0.05) -> bytes:
    """Send a request in parts, and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = b""
        while got := connection.recv(65536):
            answer += got
        return answer


def hurried(tmp_path: Path, parser: str = "httptools") -> tuple[str]:
    """Return the command of a server that waits for the rest of a request for half a second instead of ten."""
    path = tmp_path / "hurried.py"
    hide = "" if parser == "httptools" else "sys.modules['uvloop'] = sys.modules['httptools'] = None; "
    path.write_text(
        f"import sys; {hide}from snooze.service import wire; wire.PATIENCE = 0.5; wire.KEEP_ALIVE = 1; "
        "import runpy; runpy.run_module('snooze.service', run_name='__main__')"
    )
    return (str(path),)


@pytest.mark.parametrize("parser", ["httptools", "h11"])
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/predict", 413, "is larger than 16777216 bytes"), ("/models/rose/predict", 404, "no model 'rose'")],
)
def test_an_early_answer_reaches_a_client_that_still_sends(
    start_server: StartServer, tumour: Path, tmp_path: Path, parser: str, path: str, status: int, error: str
) -> None:
    """urllib says `Connection: close` and reads nothing before its 20 MB are sent."""
    server = start_server(tumour, command=hurried(tmp_path, parser))
    server.wait_for("serving")
    for _ in range(5):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.url}{path}", b" " * 20_000_000, 15)
        with caught.value as answer:
            assert answer.code == status
            assert error in json.load(answer)["error"]
    assert server.stop() == 0


def test_a_client_that_sends_for_ever_is_dropped(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    server = start_server(tumour, command=hurried(tmp_path))
    server.wait_for("serving")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n"
    with pytest.raises(ConnectionError, match=r"reset by peer|Broken pipe"):
        ask(server, head, *[b" " * 1000] * 1000, pause=0.01)
    assert server.stop() == 0


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_half_a_request_is_not_waited_for_without_end(
    start_server: StartServer, tumour: Path, tmp_path: Path, parser: str
) -> None:
    server = start_server(tumour, command=hurried(tmp_path, parser))
    server.wait_for("serving")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    halves = [
        (b"body", head + b"Content-Length: 100\r\n\r\n[["),
        (b"body", head + b"Content-Length: 100\r\n\r\n"),
        (b"body", head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[[\r\n"),
        (b"body", b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"),
        (b"head", head),
        (b"head", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", head),
    ]
    with ThreadPoolExecutor(len(halves)) as pool:
        answers = list(pool.map(lambda half: ask(server, *half[1:]), halves))

    for (waits_for, *_), answer in zip(halves, answers, strict=True):
        assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
        assert answer.endswith(b'{"error":"the %s of the request did not come within 0.5 s"}' % waits_for)
    assert server.stop() == 0


def test_a_slow_body_that_keeps_coming_is_answered(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    server = start_server(tumour, command=hurried(tmp_path))
    server.wait_for("serving")
    body = json.dumps(ROWS).encode() + b" " * 100_000
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    answer = ask(server, head, *(body[at : at + 25_000] for at in range(0, len(body), 25_000)), pause=0.6)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_connection_on_which_nothing_comes_is_closed(start_server: StartServer, tumour: Path, tmp_path: Path) -> None:
    server = start_server(tumour, command=hurried(tmp_path))
    server.wait_for("serving")

    assert ask(server) == b""


@pytest.mark.parametrize("idle", [{}, {"SNOOZE_IDLE": "1ms"}])
def test_half_a_body_is_no_prediction_and_holds_up_no_end(
    start_server: StartServer, tumour: Path, idle: dict[str, str]
) -> None:
    server = start_server(tumour, SNOOZE_MAX_IN_FLIGHT="1", **idle)
    server.wait_for("serving")
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[[")
        time.sleep(0.1)
        if not idle:
            assert server.post("/predict", ROWS)["model"] == "tumour"  # one at once is allowed, and this is it
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(8) == 0  # not the grace of 30 s
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_trailers_are_not_taken_for_headers(start_server: StartServer, tumour: Path) -> None:
    server = start_server(tumour)
    server.wait_for("serving")
    body = json.dumps(ROWS).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-Request-Id: mine"
    end = b"0\r\nX-Request-Id: evil\r\nX-Request-Timeout: no\r\n\r\n"
    chunked = b"%x\r\n%s\r\n" % (len(body), body) + end

    assert b"x-request-id: mine\r\n" in ask(server, head + b"\r\n\r\n" + chunked)
    assert b"x-request-id: mine\r\n" in ask(server, head + b"\r\n\r\n", chunked[:-20], chunked[-20:])
    assert b"evil" not in ask(server, head + b"\r\n\r\n" + end)  # no chunk but the last

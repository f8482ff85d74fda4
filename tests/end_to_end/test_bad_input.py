"""
What a hostile or careless user meets at the command and at a server, each in a process of its own.

The rules themselves are tested where they are written; here, one case of each kind goes the whole way: one line on
standard error that names the culprit, the exit code or status, and nothing left behind.
"""

import json
import re
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.end_to_end.conftest import MAX_BODY, Trained
from tests.end_to_end.servers import DEADLINE, SNOOZE, Server, serve

pytestmark = [pytest.mark.process, pytest.mark.framework]

PREDICT = "/models/tumour/predict"
ROW = json.dumps([[0.5] * 30]).encode()
LENGTH = b"Content-Length: %d" % len(ROW)


@pytest.fixture(scope="module")
def files(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved model, half of it, and rows that are too narrow for it."""
    import joblib

    folder = tmp_path_factory.mktemp("bad")
    joblib.dump(trained.first, folder / "model.joblib")
    (folder / "half.joblib").write_bytes((folder / "model.joblib").read_bytes()[:700])
    np.savez(folder / "narrow.npz", features=trained.rows[:, 1:], y=trained.classes)
    return folder


def assert_refused(arguments: list[str], culprit: str, cwd: Path) -> None:
    """One line of ours that names the culprit, exit code 2, and no other output."""
    answer = subprocess.run(
        [*SNOOZE, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE
    )
    assert answer.returncode == 2, answer.stderr
    assert re.fullmatch(rf"snooze: .*{re.escape(culprit)}.*\n", answer.stderr), answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (["model.joblib"], "--trust"),
        (["half.joblib", "--trust"], "half.joblib"),
        (["model.joblib", "--trust", "--data", "narrow.npz"], "narrow.npz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_refused_conversion_leaves_nothing(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], culprit: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert_refused(["convert", *options, "--name", "m", "--target", "out"], culprit, files)
    assert not (files / "out").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["inspect", "models/tumour", "--verify"], ["serve", "models", "--port", "0"]])
def test_a_flipped_bit_is_found(repository: Path, tmp_path: Path, command: list[str]) -> None:
    shutil.copytree(repository, tmp_path / "models")
    model = tmp_path / "models/tumour/1/model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert_refused(command, "model.onnx", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "culprit"), [(["no-such-folder"], "no-such-folder"), (["models", "--port", "99999"], "--port")]
)
def test_a_server_that_cannot_start_says_why(repository: Path, arguments: list[str], culprit: str) -> None:
    assert_refused(["serve", *arguments], culprit, repository.parent)


def assert_works(server: Server) -> None:
    assert server.request("POST", PREDICT, ROW)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", PREDICT, b"hello", {}, 400),
        ("POST", PREDICT, b"[" * 60_000, {}, 400),
        ("POST", PREDICT, b" " * (MAX_BODY + 1), {}, 413),
        ("POST", PREDICT, ROW, {"Content_Encoding": "br"}, 415),
        ("POST", "/models/nope/predict", ROW, {}, 404),
        ("GET", "/no/such/path", None, {}, 404),
        ("DELETE", PREDICT, None, {}, 405),
    ],
)
def test_a_refused_request_is_answered_in_json(
    server: Server, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    got, answer = server.request(method, path, body, **headers)
    assert got == status
    assert json.loads(answer).keys() == {"error"}
    assert_works(server)


def raw(body: bytes, *headers: bytes, close: bool = True, path: str = PREDICT) -> bytes:
    lines = (f"POST {path} HTTP/1.1".encode(), b"Host: x", *([b"Connection: close"] if close else []), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ROW), ROW)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff\x00\xff\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (raw(ROW, b"Content-Length: +232"), 400),
        (raw(ROW, b"Content-Length: -1"), 400),
        (raw(ROW, b"Content-Length: 5", b"Content-Length: 6"), 400),
        (raw(CHUNKED, b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (raw(b"zz\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), 400),
        (raw(ROW, b"Transfer-Encoding: xchunked"), 400),
        (raw(b"", b"Content-Length: 1000000000"), 413),
        (raw(ROW, b"X-Request-Id: a\nEvil: b", LENGTH), 400),
    ],
)
def test_malformed_http_is_refused_and_the_connection_closed(server: Server, sent: bytes, status: int) -> None:
    head, _, body = server.send(sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body).keys() == {"error"}
    assert_works(server)


def test_pipelined_requests_are_answered_one_by_one_and_in_order(server: Server) -> None:
    answers = server.send(
        raw(ROW, LENGTH, close=False)
        + raw(ROW, LENGTH, close=False, path="/models/nope/predict")
        + raw(ROW, LENGTH, close=False)
        + raw(b" " * (MAX_BODY + 1), b"Content-Length: %d" % (MAX_BODY + 1), close=False)
        + raw(ROW, LENGTH)  # the connection is closed after 413, because the rest of such a body is not awaited
    )
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"404", b"200", b"413"]


def test_a_slow_client_is_answered_and_a_lost_one_forgotten(server: Server) -> None:
    request = raw(ROW, LENGTH)
    with socket.create_connection(("127.0.0.1", server.port)) as lost:
        lost.sendall(request[:-20])
    assert server.send(*(request[at : at + 1] for at in range(len(request)))).startswith(b"HTTP/1.1 200 ")
    end = time.monotonic() + DEADLINE
    while b'snooze_in_flight{model="tumour",version="1"} 0' not in server.request("GET", "/metrics")[1]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("identifier", [b"a" * 20_000, b"\xfc", b""], ids=["long", "not ASCII", "empty"])
def test_an_unusable_request_id_is_replaced(server: Server, identifier: bytes) -> None:
    head = server.send(raw(ROW, b"X-Request-Id: " + identifier, LENGTH)).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200 ")
    assert re.search(rb"x-request-id: [0-9a-f]+-\d+", head)


def test_a_sleeping_service_answers_a_hundred_clients_at_once(repository: Path) -> None:
    with serve(repository, "--idle", "60s") as server, ThreadPoolExecutor(100) as pool:
        statuses = pool.map(lambda _: server.request("POST", PREDICT, ROW)[0], range(100))
        assert set(statuses) == {200}

"""`snooze try`: from a trained file to an address that answers, and nothing is left behind, however it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from snooze.cli import _find_port, _serve
from snooze.service.errors import CannotListen, InvalidSetting

pytestmark = [pytest.mark.framework, pytest.mark.process]

DEADLINE = 300.0
Try = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A classifier in a file that needs no trust."""
    import skops.io

    rows, labels = load_iris(return_X_y=True)
    np.savez(tmp_path / "rows.npz", features=rows, y=labels)
    skops.io.dump(LogisticRegression(max_iter=200).fit(rows, labels), tmp_path / "my iris.skops")
    return tmp_path / "my iris.skops"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Try]:
    """Start `snooze try` with a folder for temporary files of its own, in a process group of its own."""
    (tmp_path / "temporary").mkdir()
    environ = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "SNOOZE_IDLE": "1s"}
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-P", "-m", "snooze.cli", "try", *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
        )
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE)


def wait_for_address(process: "subprocess.Popen[str]") -> str:
    """Return the address of the page."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"open (http:\S+/) in a browser", line):
            return found[1]
    assert process.stderr is not None
    raise AssertionError(process.stderr.read())


def ask(url: str, document: Any = None) -> Any:
    body = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=DEADLINE) as answer:
        return json.load(answer)


def left_behind(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "temporary").iterdir()]


def runs(group: int) -> bool:
    """Return whether a process of the group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (lambda one: os.killpg(one.pid, signal.SIGINT), 0),  # Ctrl-C: both processes get the signal
        (lambda one: one.send_signal(signal.SIGINT), 0),
        (lambda one: one.send_signal(signal.SIGTERM), 128 + signal.SIGTERM),
        (lambda one: os.killpg(one.pid, signal.SIGHUP), 128 + signal.SIGHUP),  # the terminal was closed
    ],
    ids=["ctrl-c", "SIGINT", "SIGTERM", "SIGHUP"],
)
def test_answers_until_it_is_stopped_and_leaves_nothing_behind(
    source: Path, start: Try, tmp_path: Path, stop: Callable[[Any], None], code: int
) -> None:
    process = start(source, "--data", source.with_name("rows.npz"), "--port", "0", "--quantize", "none")
    address = wait_for_address(process)

    assert ask(f"{address}readyz")["ready"] is True
    answer = ask(f"{address}predict", [[5.1, 3.5, 1.4, 0.2]])
    assert (answer["model"], answer["predictions"][0]["label"]) == ("my-iris", "0")
    with urllib.request.urlopen(f"{address}models/my-iris/report", timeout=DEADLINE) as report:
        assert b"<h1>" in report.read()
    assert left_behind(tmp_path) != []

    stop(process)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert "without --data" not in errors
    assert not runs(process.pid)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_converts_leaves_nothing_behind(
    source: Path, start: Try, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(source, "--port", "0")
    end = time.monotonic() + DEADLINE
    while not left_behind(tmp_path):
        assert time.monotonic() < end
        time.sleep(0.01)

    os.killpg(process.pid, number)

    output, errors = process.communicate(timeout=DEADLINE)
    # Seen now and then on a busy machine: Python ends by the signal itself, which is 130 to a shell, too.
    by_signal = (-signal.SIGINT,) if number == signal.SIGINT else ()
    assert process.returncode in (128 + number, *by_signal)
    assert output == ""
    assert errors == "snooze: without --data the model is checked with drawn rows; real ones prove more\n"
    assert left_behind(tmp_path) == []


def test_a_failed_conversion_leaves_nothing_behind(start: Try, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    process = start(tmp_path / "text.onnx", "--port", "0")

    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (2, "")
    assert errors.splitlines()[-1].startswith(f"snooze: {tmp_path}/text.onnx: ")
    assert left_behind(tmp_path) == []


def test_a_port_that_is_taken_is_an_error_before_the_conversion(source: Path, start: Try, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        output, errors = start(source, "--port", port).communicate(timeout=DEADLINE)

    assert output == ""
    assert errors.startswith(f"snooze: port {port} on 127.0.0.1 is in use; ")
    assert errors.count("\n") == 1


def test_the_default_port_is_a_free_one_if_8080_is_taken() -> None:
    with suppress(OSError):  # it is taken, by whomever
        taken = socket.create_server(("127.0.0.1", 8080))
    assert _find_port("127.0.0.1", None) == 0
    with suppress(NameError):
        taken.close()


def test_an_address_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(CannotListen, match=re.escape("203.0.113.1")):
        _find_port("203.0.113.1", None)
    with pytest.raises(InvalidSetting, match="--port"):
        _find_port("127.0.0.1", "http")


def test_a_server_that_cannot_start_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _serve(str(tmp_path / "none"), "--port", "0") == 2

    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith(f"snooze: {tmp_path}/none")

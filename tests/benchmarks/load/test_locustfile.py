"""The locustfile as users run it, without `snooze bench load` around it."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.load.generator import LOCUSTFILE
from snooze.benchmarks.load.outcomes import Record

pytestmark = pytest.mark.process


def locust(server: Server, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "--headless", "-f", str(LOCUSTFILE), "--host", server.url, *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=300
    )


def test_runs_until_it_is_stopped(double: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locust", "--headless", "-f", str(LOCUSTFILE), "--host", double.url]
    options = ["--model=tumour", "--rps=50", "-u8", "-r8"]
    before = count_requests(double)
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen([*command, *options], stderr=sink, env=os.environ | {"GEVENT_BACKEND": "select"})
        try:
            until = time.monotonic() + 120
            while count_requests(double) < before + 40 and time.monotonic() < until:  # the warm-up sends 21
                time.sleep(0.05)
        finally:
            process.terminate()
            code = process.wait()

    text = log.read_text()
    assert code == 0
    assert "POST     /v2/models/tumour/infer" in text
    assert "WARNING" not in text


def count_requests(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/requests") as answer:
        return int(answer.read())


def test_ends_by_itself_and_writes_its_record(double: Server, tmp_path: Path) -> None:
    file = tmp_path / "record.npz"

    done = locust(double, "--model=tumour", "--rps=50", "-u8", "-r8", "--seconds=1", f"--record={file}")

    assert done.returncode == 0
    record = Record.read(file)
    assert record.counts()["answered"] == 50
    assert (np.diff(record.due) >= 0).all()
    assert (record.started >= record.due).all()


def test_failures_show_in_the_exit_code_of_locust(double: Server) -> None:
    done = locust(double, "--model=busy", "--rps=20", "-u4", "-r4", "--seconds=0.5", GEVENT_BACKEND="epoll")

    assert done.returncode == 1
    assert "overloaded: HTTP 429" in done.stderr
    assert "set GEVENT_BACKEND=select" in done.stderr  # the clock is too coarse


def test_says_in_one_line_why_it_cannot_run(double: Server) -> None:
    done = locust(double, "--model=nope", "-t60s", "--only-summary", GEVENT_BACKEND="select")

    assert done.returncode == 2
    assert f"snooze: {double.url} has no model 'nope'; available: " in done.stderr
    assert "Traceback" not in done.stderr

"""The locustfile as users run it, without `snooze bench load` around it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.load.generator import LOCUSTFILE
from snooze.benchmarks.load.outcomes import Record


def locust(server: Server, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "--headless", "-f", str(LOCUSTFILE), "--host", server.url, *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


def test_runs_for_as_long_as_locust_is_told(double: Server) -> None:
    done = locust(double, "--model=tumour", "--rps=50", "-u8", "-r8", "-t3s", GEVENT_BACKEND="select")

    assert done.returncode == 0
    assert "POST     /v2/models/tumour/infer" in done.stderr
    assert "WARNING" not in done.stderr


def test_ends_by_itself_and_writes_its_record(double: Server, tmp_path: Path) -> None:
    file = tmp_path / "record.npz"

    done = locust(double, "--model=tumour", "--rps=50", "-u8", "-r8", "--seconds=1", f"--record={file}")

    assert done.returncode == 0
    record = Record.read(file)
    assert record.counts()["answered"] == 50
    assert (np.diff(record.due) >= 0).all()
    assert (record.started >= record.due).all()


def test_failures_show_in_the_exit_code_as_everywhere_in_locust(double: Server) -> None:
    done = locust(double, "--model=busy", "--rps=20", "-u4", "-r4", "--seconds=0.5")

    assert done.returncode == 1
    assert "overloaded: HTTP 429" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model=nope"], "snooze: {url} serves no model 'nope'; there are: "),
        (["--model=tumour", "--row=1,2"], "snooze: --row: input 'features' is [rows, 4], got [1, 2]"),
        (["--model=tumour", "--rows=0"], "snooze: --rows: expected 1 or more, got 0"),
        (["--model=tumour", "--rps=-5"], "snooze: --rps: expected a number above zero, got -5.0"),
    ],
)
def test_says_in_one_line_why_it_cannot_run(double: Server, options: list[str], message: str) -> None:
    done = locust(double, *options, "-t5s", "--only-summary", GEVENT_BACKEND="select")

    assert done.returncode == 2
    assert message.format(url=double.url) in done.stderr
    assert "Traceback" not in done.stderr


def test_warns_of_a_clock_that_is_too_coarse(double: Server) -> None:
    done = locust(double, "--model=tumour", "--rps=10", "--seconds=0.2", GEVENT_BACKEND="epoll")

    assert "set GEVENT_BACKEND=select" in done.stderr

"""
The liveness probe restarts a server that hangs, and neither a busy one nor one that starts.

These tests run on the node itself: pods are processes of this machine, and SIGSTOP makes one hang.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cluster.callers import Question, ask
from tests.cluster.conftest import Figures
from tests.cluster.services import Service, wait_until

from snooze.benchmarks.load.outcomes import Outcome

pytestmark = pytest.mark.cluster
# The least: 5 probes, 10 s apart, have to fail, and a server that hangs survives SIGTERM for as long.
TIMEOUT = ("--timeout", "45s", "--min-scale", "1")
BUSY_SECONDS = 40
SLOW_SECONDS = 62
MAX_SECONDS = 240


def test_a_server_that_hangs_is_restarted_and_a_busy_one_is_not(
    service: Service, question: Question, figures: Figures
) -> None:
    url = service.deploy("tumour/1", *TIMEOUT, "--start-timeout", "1s")
    pid = find_server(service)
    assert pid
    hold(pid, BUSY_SECONDS)
    time.sleep(10)
    assert service.restarts() == 0

    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    wait_until(service.restarts, "the server to be restarted", MAX_SECONDS)
    wait_until(lambda: ask(url, question).outcome == Outcome.ANSWERED, "an answer")
    figures.returned = time.monotonic() - begun


def test_a_slow_start_is_not_restarted(service: Service, question: Question) -> None:
    with ThreadPoolExecutor(1) as pool:
        deployed = pool.submit(service.deploy, "tumour/1", *TIMEOUT)
        hold(wait_until(lambda: find_server(service), "the server's process"), SLOW_SECONDS)
        url = deployed.result()

    assert service.restarts() == 0
    assert ask(url, question).outcome == Outcome.ANSWERED


def hold(pid: int, seconds: float) -> None:
    """Let a process do nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def find_server(service: Service) -> int:
    """Return the process of the service's server, 0 before it has started."""
    variable = f"K_SERVICE={service.name}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (process / "environ").read_bytes().split(b"\0") and (
                b"snooze.service" in (process / "cmdline").read_bytes()
            ):
                return int(process.name)
        except OSError:  # it has ended meanwhile
            continue
    return 0

"""
The liveness probe on a real cluster: it restarts a server that hangs, and neither a busy one nor one that starts.

Runs as `test_cluster.py` does, on the node itself: pods are processes of this machine, and SIGSTOP makes one hang.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
TIMEOUT = 45  # seconds: the least; 5 probes, 10 s apart, have to fail, and a hanging server survives SIGTERM so long
BUSY_SECONDS = 40
SLOW_SECONDS = 62
MAX_SECONDS = 240


@pytest.fixture
def service() -> Iterator[str]:
    if not os.environ.get("SNOOZE_CLUSTER"):
        pytest.skip("no cluster: SNOOZE_CLUSTER is not set")
    name = f"live-{uuid.uuid4().hex[:6]}"
    yield name
    subprocess.run(["kubectl", "delete", "ksvc", name, "--ignore-not-found"], capture_output=True, check=True)


def test_a_server_that_hangs_is_restarted_and_a_busy_one_is_not(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(service, "--start-timeout", "1s").wait() == 0
    pid = wait_for(lambda: find_server(service))
    hold(pid, BUSY_SECONDS)
    time.sleep(10)
    assert restarts(service) == 0

    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    wait_for(lambda: restarts(service))
    wait_for(lambda: answers(service))
    with capsys.disabled():
        print(f"\na server that hangs answers again after {time.monotonic() - start:.0f} s")


def test_a_slow_start_is_not_restarted(service: str) -> None:
    deployment = deploy(service)
    hold(wait_for(lambda: find_server(service)), SLOW_SECONDS)

    assert deployment.wait() == 0
    assert restarts(service) == 0
    assert answers(service)


def deploy(service: str, *options: str) -> "subprocess.Popen[bytes]":
    """Begin to deploy a service of one pod; it ends when the service is ready."""
    command = [sys.executable, "-m", "snooze.cli", "deploy", os.environ["SNOOZE_CLUSTER_MODELS"], "--name", service]
    command += ["--image", os.environ["SNOOZE_CLUSTER_IMAGE"], "--rps", "1", "--min-scale", "1", "--output", "-"]
    command += ["--timeout", f"{TIMEOUT}s", *options, "--apply"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def hold(pid: int, seconds: float) -> None:
    """Let a process do nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def find_server(service: str) -> int | None:
    """Return the process of the service's server, None before it has started."""
    variable = f"K_SERVICE={service}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (process / "environ").read_bytes().split(b"\0") and (
                b"snooze.service" in (process / "cmdline").read_bytes()
            ):
                return int(process.name)
        except OSError:  # it has ended meanwhile
            continue
    return None


def restarts(service: str) -> int:
    """Return how often the server's container was restarted."""
    command = ["kubectl", "get", "pods", "-l", f"serving.knative.dev/service={service}", "-o", "json"]
    pods = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["items"]
    statuses = [one for pod in pods for one in pod["status"].get("containerStatuses", [])]
    return sum(one["restartCount"] for one in statuses if one["name"] == "user-container")


def answers(service: str) -> bool:
    """Return whether the service answers."""
    command = ["kubectl", "get", "ksvc", service, "-o", "jsonpath={.status.url}"]
    url = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    try:
        with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(question: Callable[[], int | None]) -> int:
    """Ask until there is an answer."""
    end = time.monotonic() + MAX_SECONDS
    while True:
        found = question()
        if found:
            return found
        assert time.monotonic() < end, f"not within {MAX_SECONDS} s"
        time.sleep(0.1)

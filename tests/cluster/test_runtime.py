"""The runtime contract of Knative, asked of our image in a pod: probes, signals, time limits, variables and headers."""

import contextlib
import http.client
import json
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.cluster.callers import Question, ask, burst, load
from tests.cluster.conftest import Figures
from tests.cluster.services import Service

from snooze.benchmarks.load.outcomes import Outcome
from snooze.bundle.samples import Sample

pytestmark = pytest.mark.cluster
LATE_SECONDS = 5.0  # patient/2 works for 8 s before it is ready, on the machine that made it
PROBE_SECONDS = 0.1
IN_POD = """
import json, os
fixed = ["fd", "full", "null", "random", "stdin", "stdout", "stderr", "tty", "urandom", "zero"]
try:
    open("/written", "w")
    writable = True
except OSError:
    writable = False
missing = [name for name in fixed if not os.path.lexists("/dev/" + name)]
found = {"uid": os.getuid(), "groups": os.getgroups(), "stdin": os.readlink("/proc/1/fd/0")}
print(json.dumps({**found, "writable": writable, "missing": missing}))
"""


def test_a_server_that_is_ready_late_gets_no_request_before(service: Service, figures: Figures) -> None:
    url = service.deploy("patient/2", "--timeout", "300s")
    service.wait_for_zero()
    tally = burst(url, patient(service, 0.01), 50)
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert min(seen.seconds for seen in tally) > LATE_SECONDS


@pytest.mark.xdist_group("alone")
def test_the_readiness_probe_is_answered_in_time_under_load(
    service: Service, question: Question, figures: Figures
) -> None:
    url = service.deploy("tumour/1", "--max-scale", "1")
    times = []
    with load(url, [question], rps=300) as tally:
        address = service.pods()[0]["status"]["podIP"]
        for _ in range(200):
            begun = time.perf_counter()
            assert get(address, "/readyz") == 200
            times.append(time.perf_counter() - begun)
            time.sleep(0.05)
    figures.add(tally)

    assert not tally.lost, tally.describe()
    assert statistics.quantiles(times, n=20)[-1] < PROBE_SECONDS
    assert not service.restarts()


@pytest.mark.parametrize("limit", ["timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"])
def test_a_time_limit_is_kept_and_exceeded(limit: str, service: Service, figures: Figures) -> None:
    def set_limit(manifest: Any) -> None:
        manifest["spec"]["template"]["spec"] |= {"timeoutSeconds": 60, limit: 6}

    url = service.apply("patient/1", set_limit)
    short, long = ask(url, patient(service, 0.5)), ask(url, patient(service, 20))
    figures.add([short])

    assert short.outcome == Outcome.ANSWERED, short.problem
    assert long.status == 504
    assert long.problem.endswith("request timeout")  # queue-proxy's, or the activator's where that is in the path
    assert long.seconds < 10


def test_knative_chooses_the_port_and_names_the_revision(
    service: Service, question: Question, figures: Figures
) -> None:
    def set_port(manifest: Any) -> None:
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["ports"] = [{"containerPort": 9000}]
        container["readinessProbe"]["httpGet"].pop("port", None)

    seen = ask(service.apply("tumour/1", set_port), question)
    figures.add([seen])

    assert seen.outcome == Outcome.ANSWERED, seen.problem
    assert seen.revision == service.revisions()[0]
    assert get(service.pods()[0]["status"]["podIP"], "/readyz", 9000) == 200


def test_headers_pass_the_proxies_both_ways(service: Service, question: Question, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"traceparent": trace, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    seen = ask(url, question, sent)
    figures.add([seen])

    assert seen.outcome == Outcome.ANSWERED, seen.problem
    assert seen.headers["x-request-id"]  # Envoy replaces that of a caller from outside
    assert seen.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert (seen.headers["snooze-model"], seen.headers["snooze-version"]) == ("tumour", "1")


def test_http_2_without_tls_is_refused_and_harms_nobody(service: Service, question: Question) -> None:
    url = service.deploy("tumour/1")
    with socket.create_connection((service.pods()[0]["status"]["podIP"], 8080), 5) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        answer = connection.recv(100)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert ask(url, question).outcome == Outcome.ANSWERED


def test_the_process_has_no_rights_that_it_does_not_need(service: Service) -> None:
    service.deploy("tumour/1", "--min-scale", "1")
    pod = service.pods()[0]["metadata"]["name"]
    found = json.loads(service.cluster.run("exec", pod, "-c", "user-container", "--", "python", "-c", IN_POD))

    assert found == {"uid": 65532, "groups": [65532], "writable": False, "stdin": "/dev/null", "missing": []}


def test_with_a_concurrency_of_1_no_two_requests_are_inside(service: Service, figures: Figures) -> None:
    def set_concurrency(manifest: Any) -> None:
        manifest["spec"]["template"]["spec"]["containerConcurrency"] = 1
        manifest["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"] = "1"

    url = service.apply("patient/1", set_concurrency)
    address, over, inside = service.pods()[0]["status"]["podIP"], threading.Event(), []

    def watch() -> None:
        while not over.wait(0.02):
            inside.append(in_flight(address))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        tally = burst(url, patient(service, 0.3), 10)
        over.set()
        watching.result()
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert max(inside) == 1


def patient(service: Service, seconds: float) -> Question:
    """Ask the model to work for so long."""
    row = np.full((1, 1), seconds, np.float32)
    return Question.asking(service.models / "patient/1", Sample({"seconds": row}, {"answer": row}))


def get(address: str, path: str, port: int = 8080) -> int:
    """Return the status of a GET."""
    with contextlib.closing(http.client.HTTPConnection(address, port, timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def in_flight(address: str) -> float:
    """Return how many predictions the pod works on."""
    with contextlib.closing(http.client.HTTPConnection(address, 8080, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("snooze_in_flight{"))

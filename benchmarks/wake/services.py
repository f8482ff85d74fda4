"""A Knative Service that is brought to zero and asked, again and again."""

import time
from dataclasses import dataclass
from typing import Any, Final

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.load.target import RequestOptions, prepare
from snooze.benchmarks.wake.phases import Exchange, Ledger
from snooze.benchmarks.wake.watching import Watching
from snooze.bundle.units import format_duration
from snooze.client import v2
from snooze.client.exchange import Address, Answer, Payload, exchange
from snooze.knative.kubectl import MIN_SCALE, POD, REVISION, SERVICE, SERVICE_LABEL, Cluster

WARM_REQUESTS: Final = 5
POD_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class WakingService:
    """A service by its address, and the request that wakes it."""

    name: str
    address: Address
    method: str
    path: str
    payload: Payload | None

    def ask(self) -> tuple[Answer, float, float]:
        """Send the request; return the answer, and when the request was sent and answered (seconds since 1970)."""
        sent = time.time()
        answer = exchange(self.address, self.method, self.path, self.payload)
        return answer, sent, time.time()

    def wake(self) -> Exchange:
        """
        Send the first request, then warm ones.

        Raises:
            Unreachable, NotMeasurable: a request was not answered with 200.
        """
        answer, sent, answered = self.ask()
        if answer.status != 200:
            raise NotMeasurable(f"a wake of {self.name!r}", f"{answer.url} answered {answer.status}")
        warm = sorted(end - start for _, start, end in (self.ask() for _ in range(WARM_REQUESTS)))
        return Exchange(sent, answered, warm[WARM_REQUESTS // 2])

    def read_ledger(self) -> Ledger | None:
        """Return the server's own account of its start; None if it gives none."""
        answer = exchange(self.address, "GET", "/metrics")
        return Ledger.parse(answer.body.decode("utf-8", "replace")) if answer.status == 200 else None


def find(cluster: Cluster, name: str, options: RequestOptions, path: str | None) -> WakingService:
    """
    Return a service and its request: `GET path`, a prediction if it serves Open Inference, or else `GET /`.

    Raises:
        NotMeasurable: there is no such service, it has no URL, or it never scales to zero.
        ClientError: the URL cannot be reached from here, or its server does not tell its model.
    """
    document = cluster.get(SERVICE, name)
    if document is None:
        raise _refusal(name, f"there is none in namespace {cluster.namespace!r}; see: kubectl get ksvc -A")
    url = document.get("status", {}).get("url")
    if url is None:
        raise _refusal(name, f"it has no URL yet; see: kubectl describe ksvc {name}")
    _refuse_min_scale(cluster, name, document)
    address = Address.parse(url)
    if path is None and v2.list_models(address):
        target = prepare(url, options)
        return WakingService(name, address, "POST", target.path, target.payloads[0])
    return WakingService(name, address, "GET", path or "/", None)


def check(service: WakingService, watching: Watching) -> None:
    """
    Ask a service once, and see its pod: a watch that is not live yet must not be taken for a service without pods.

    Raises:
        Unreachable, NotMeasurable: it does not answer 200, or its pod is not seen.
    """
    service.wake()
    if not watching.wait(lambda: bool(watching.pods(service.name)), POD_SECONDS):
        raise _refusal(service.name, "it answers, but no pod has its label; does another service answer at its URL?")


def bring_to_zero(service: WakingService, cluster: Cluster, watching: Watching, limit: float, skip_drain: bool) -> None:
    """
    Wait until a service has no pod.

    `skip_drain` deletes pods that have begun to end, at once; otherwise each of them drains for 30 s.

    Raises:
        NotMeasurable: it still has a pod after `limit` seconds.
    """

    def ending() -> list[str]:
        found = [pod["metadata"] for pod in watching.pods(service.name)]
        return [pod["name"] for pod in found if "deletionTimestamp" in pod]

    end = time.monotonic() + limit
    if skip_drain and watching.wait(lambda: not watching.pods(service.name) or bool(ending()), limit) and ending():
        cluster.run("delete", POD, *ending(), "--force", "--grace-period=0", "--wait=false", "--ignore-not-found")
    if not watching.wait(lambda: not watching.pods(service.name), end - time.monotonic()):
        raise _refusal(
            service.name,
            f"it still has a pod after {format_duration(limit)}: it gets other requests, its window is longer "
            "(--zero-timeout waits longer), or the autoscaler's settings keep one",
        )


def _refuse_min_scale(cluster: Cluster, name: str, service: dict[str, Any]) -> None:
    revisions = {one.get("revisionName") for one in service["status"].get("traffic", [])}
    for revision in cluster.list(REVISION, f"{SERVICE_LABEL}={name}"):
        least = revision["metadata"].get("annotations", {}).get(MIN_SCALE, "0")
        if revision["metadata"]["name"] in revisions and least != "0":
            problem = f"its revision {revision['metadata']['name']} has {MIN_SCALE}: {least!r} and never scales to zero"
            raise _refusal(name, f"{problem}; deploy it with --min-scale 0")


def _refusal(name: str, problem: str) -> NotMeasurable:
    return NotMeasurable(f"wakes of the Knative Service {name!r}", problem)

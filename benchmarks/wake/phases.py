"""
Where the time of a wake went: consecutive phases from the request to the complete answer, which sum to the whole.

A phase ends when the watch brings the news of its end, so it includes the way of these news. Where news come in another
order, or do not come, a phase is empty, and its time belongs to the next.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from snooze.benchmarks.cold_start import PHASE
from snooze.benchmarks.wake.watching import Event
from snooze.knative.kubectl import Object

PHASES: Final = {
    "autoscale": "the request reaches the activator, and the autoscaler asks the Deployment for a pod",
    "create": "Kubernetes creates the pod",
    "schedule": "the scheduler chooses a node",
    "containers": "kubelet and the container runtime make the sandbox, and our process in it",
    "process": "our process starts, until it is ready, by its own account",
    "publish": "kubelet looks at its containers, once a second, and publishes the pod's address",
    "endpoint": "the address arrives in the Service's endpoints",
    "rest": "not explained: the activator probes the pod, and hands on the request",
    "answer": "as long as a request to the warm service",
}
START: Final = re.compile(r"^process_start_time_seconds ([\d.e+]+)$", re.MULTILINE)


class Ledger(NamedTuple):
    """
    A server's own account of its start.

    `created` is when its process was created (seconds since 1970, by its node's clock), `wall` and `cpu` are seconds by
    phase.
    """

    created: float
    wall: Mapping[str, float]
    cpu: Mapping[str, float]

    @classmethod
    def parse(cls, metrics: str) -> "Ledger | None":
        """Read the ledger from a server's metrics; None if it has none."""
        created = START.search(metrics)
        found = [match for line in metrics.splitlines() if (match := PHASE.fullmatch(line))]
        if not created or not found:
            return None
        clocks: dict[str, dict[str, float]] = {"wall": {}, "cpu": {}}
        for one in found:
            clocks[one["clock"]][one["phase"]] = float(one["seconds"])
        return cls(float(created[1]), **clocks)

    @property
    def ready(self) -> float:
        """When the process was ready, at the earliest: what the runtime did in it before it executed is not known."""
        return self.created + sum(self.wall.values())


class Exchange(NamedTuple):
    """When a request was sent and when its answer was complete (seconds since 1970), and seconds of a warm request."""

    sent: float
    answered: float
    warm: float


def split(exchange: Exchange, events: Sequence[Event], ledger: Ledger | None) -> dict[str, float]:
    """Return the seconds of each of the `PHASES`, in their order; `containers` and `process` are 0 without a ledger."""
    ends = [
        _first(events, "Deployment", lambda one: one["spec"].get("replicas", 0) > 0),
        _first(events, "Pod", lambda one: True),
        _first(events, "Pod", lambda one: "nodeName" in one["spec"]),
        ledger and ledger.created,
        ledger and ledger.ready,
        _first(events, "Pod", lambda one: "podIP" in one.get("status", {})),
        _first(events, "EndpointSlice", _has_pod),
        exchange.answered - exchange.warm,
        exchange.answered,
    ]
    phases, last = {}, exchange.sent
    for name, end in zip(PHASES, ends, strict=True):
        reached = min(max(last, end or last), exchange.answered)
        phases[name] = reached - last
        last = reached
    return phases


def _has_pod(slice_: Object) -> bool:
    """Return whether a slice has a pod's address; the public ones have the activator's while there is no pod."""
    private = slice_["metadata"]["labels"].get("networking.internal.knative.dev/serviceType") == "Private"
    return private and bool(slice_["endpoints"])


def _first(events: Iterable[Event], kind: str, condition: Callable[[Object], Any]) -> float | None:
    """Return when the first object of a kind arrived that fulfils a condition; pods that end are of an earlier wake."""
    for event in events:
        ending = event.type == "DELETED" or "deletionTimestamp" in event.object["metadata"]
        if event.kind == kind and not ending and condition(event.object):
            return event.seconds
    return None

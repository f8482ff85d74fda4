"""The requests of each revision, read from the metrics of its pods through the API server."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from snooze.knative.errors import KubectlFailed
from snooze.knative.kubectl import REVISION_LABEL, Cluster, Object, find_condition
from snooze.knative.rollout.errors import MissingRight
from snooze.knative.rollout.judging.counts import Counts, Reading, add, grown, parse, subtract

SERVER: Final = "user-container"  # Knative's name for the container with our server
PORT: Final = 8080
READ_SECONDS: Final = 3.0
READERS: Final = 8


class PodMetrics:
    """
    Sums over all pods that were ever seen. A counter of a pod that ended keeps its last value; one that begins anew
    because its container was restarted is added on.

    A pod that is there at the first reading counts from then on, a later one from its start on.
    """

    def __init__(self, cluster: Cluster, revisions: Sequence[str]) -> None:
        self._cluster = cluster
        self._totals = dict.fromkeys(revisions, Counts({}))
        self._last: dict[str, Counts] = {}
        self._old: frozenset[str] | None = None  # the pods of the first reading
        self._step: int | None = None
        self._mark: Mapping[str, Counts] = {}

    def read(self, pods: Sequence[Object], step: int) -> Reading:
        """Return what was counted since the first reading of this step."""
        running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
        if self._old is None:
            self._old = frozenset(pod["metadata"]["name"] for pod in pods)
        notes, sources = [], 0
        with ThreadPoolExecutor(READERS) as pool:
            for pod, read in zip(running, pool.map(self._read, running), strict=True):
                if isinstance(read, Counts):
                    sources += 1
                    self._add(pod, read)
                elif _is_ready(pod):  # others begin or end
                    notes.append(f"pod {pod['metadata']['name']} cannot be read: {read}")
        alive = {pod["metadata"]["name"] for pod in pods}
        self._last = {name: counts for name, counts in self._last.items() if name in alive}
        if step != self._step:
            self._step, self._mark = step, dict(self._totals)
        since = {revision: subtract(total, self._mark[revision]) for revision, total in self._totals.items()}
        return Reading(since, tuple(notes), sources)

    def _add(self, pod: Object, counts: Counts) -> None:
        assert self._old is not None
        name, revision = pod["metadata"]["name"], pod["metadata"]["labels"][REVISION_LABEL]
        first = counts if name in self._old else Counts({})
        more = grown(counts, self._last.get(name, first))
        self._last[name] = counts
        self._totals[revision] = add((self._totals[revision], more))

    def _read(self, pod: Object) -> Counts | KubectlFailed:
        try:
            text = self._cluster.read_pod(pod["metadata"]["name"], _port(pod), "/metrics", READ_SECONDS)
        except KubectlFailed as error:
            if error.reason == "Forbidden":
                raise MissingRight("get", "pods/proxy", self._cluster.namespace) from None
            return error
        return parse(text)


def _is_ready(pod: Object) -> bool:
    return find_condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def _port(pod: Object) -> int:
    """Return the port of the server in a pod."""
    ports = [
        port["containerPort"]
        for container in pod["spec"]["containers"]
        if container["name"] == SERVER
        for port in container.get("ports", [])
    ]
    return int(ports[0]) if ports else PORT

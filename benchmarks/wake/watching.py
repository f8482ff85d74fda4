"""
What changes in a namespace while its services wake, each change with the time at which it arrived.

One watch of the API server for each kind of object, through `kubectl get --raw`, which hands on each event as it comes.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple

from snooze.benchmarks.errors import NotMeasurable
from snooze.knative.kubectl import SERVICE_LABEL, Cluster, Object

DAY: Final = 86400  # seconds; the server itself would end a watch after 30 to 60 minutes
CHANGES: Final = ("ADDED", "MODIFIED", "DELETED")
PATHS: Final = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}


class Event(NamedTuple):
    """A change of an object: when it arrived (seconds since 1970), ADDED, MODIFIED or DELETED, and the object then."""

    seconds: float
    type: str
    object: Object

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return str(self.object["kind"])

    @property
    def service(self) -> str:
        """The Knative Service that the object belongs to."""
        return str(self.object["metadata"]["labels"][SERVICE_LABEL])


class Watching:
    """Watches pods, deployments and endpoints of services inside a `with` statement."""

    def __init__(self, cluster: Cluster, services: list[str]) -> None:
        self._cluster = cluster
        self._query = f"?watch=true&timeoutSeconds={DAY}&labelSelector={SERVICE_LABEL}%20in%20({','.join(services)})"
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._pods: dict[str, Object] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._problem: str | None = None
        self._ending = False

    def __enter__(self) -> "Watching":
        for kind in PATHS:
            self._start(kind)
            self._threads.append(threading.Thread(target=self._follow, args=(kind,), daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._ending = True
            for process in self._processes.values():
                process.kill()
        for thread in self._threads:
            thread.join()

    def forget(self) -> None:
        """Forget the events that came so far; the pods that there are stay known."""
        with self._changed:
            self._events.clear()

    def events(self, service: str) -> list[Event]:
        """Return the events of a service since they were forgotten, in the order in which they came."""
        with self._changed:
            return [event for event in self._events if event.service == service]

    def pods(self, service: str) -> list[Object]:
        """Return the pods that a service has now."""
        with self._changed:
            return [pod for pod in self._pods.values() if pod["metadata"]["labels"][SERVICE_LABEL] == service]

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """
        Wait until a condition on pods or events holds; return whether it does.

        Raises:
            NotMeasurable: a watch failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._problem is not None or condition(), seconds)
            if self._problem is not None:
                raise NotMeasurable("what changes in the cluster", self._problem)
            return condition()

    def _start(self, kind: str) -> None:
        path = PATHS[kind].format(self._cluster.namespace)
        self._processes[kind] = self._cluster.stream(path + self._query)

    def _follow(self, kind: str) -> None:
        """Read events; a watch that the server has ended is started again."""
        while True:
            process = self._processes[kind]
            assert process.stdout is not None
            for line in process.stdout:
                seconds, event = time.time(), json.loads(line)
                if event["type"] in CHANGES:  # ERROR comes before the server ends a watch
                    self._record(Event(seconds, event["type"], event["object"]))
            _, problem = process.communicate()
            with self._changed:
                if self._ending:
                    return
                if process.returncode:
                    self._problem = " ".join(problem.decode("utf-8", "replace").split()) or "kubectl was ended"
                    self._changed.notify_all()
                    return
                if kind == "Pod":  # the new watch begins with those that there are
                    self._pods.clear()
                self._start(kind)

    def _record(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            if event.kind == "Pod":
                name = event.object["metadata"]["name"]
                if event.type == "DELETED":
                    self._pods.pop(name, None)
                else:
                    self._pods[name] = event.object
            self._changed.notify_all()

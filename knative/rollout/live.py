"""A Knative Service as the cluster has it: which revisions get its requests, and the tags they are reached by."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from snooze.knative.errors import UnknownService
from snooze.knative.kubectl import SERVICE, Cluster

ROLLOUT: Final = "snooze/rollout"  # annotation of a Service during a rollout: its record, and the lock


class Target(NamedTuple):
    """One of the targets of a Service's traffic; `url` is that of its tag, if it has one."""

    revision: str
    percent: int
    tag: str | None
    url: str | None


class LiveService(NamedTuple):
    """A Service as it was when it was read; the version is for changes that must not overwrite another's."""

    cluster: Cluster
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The Service's name."""
        return str(self.document["metadata"]["name"])

    @property
    def version(self) -> str:
        """Kubernetes' resourceVersion."""
        return str(self.document["metadata"]["resourceVersion"])

    @property
    def url(self) -> str | None:
        """Where it answers; None as long as it has no route."""
        url: str | None = self.document.get("status", {}).get("url")
        return url

    @property
    def targets(self) -> list[Target]:
        """The traffic as it is now, with the revision that `latestRevision` stands for."""
        traffic = self.document.get("status", {}).get("traffic", [])
        return [
            Target(one["revisionName"], one.get("percent", 0), one.get("tag"), one.get("url"))
            for one in traffic
            if "revisionName" in one
        ]

    @property
    def split(self) -> dict[str, int]:
        """Percent by revision, of those that get requests."""
        found: dict[str, int] = {}
        for target in self.targets:
            if target.percent:
                found[target.revision] = found.get(target.revision, 0) + target.percent
        return found

    @property
    def rollout(self) -> dict[str, Any] | None:
        """The record of the rollout that is under way, None without one."""
        text = self.document["metadata"].get("annotations", {}).get(ROLLOUT)
        return json.loads(text) if text else None

    def change(self, change: Mapping[str, Any]) -> "LiveService":
        """
        Return the Service after a JSON merge patch.

        Raises:
            Conflict: it is another one than when it was read; read it again and decide anew.
        """
        metadata = {**change.get("metadata", {}), "resourceVersion": self.version}
        return LiveService(self.cluster, self.cluster.patch(SERVICE, self.name, {**change, "metadata": metadata}))


def find(cluster: Cluster, name: str) -> LiveService | None:
    """Return the Service of that name, None if there is none."""
    document = cluster.get(SERVICE, name)
    return None if document is None else LiveService(cluster, document)


def read(cluster: Cluster, name: str) -> LiveService:
    """
    Return the Service of that name.

    Raises:
        UnknownService: there is none.
    """
    found = find(cluster, name)
    if found is None:
        raise UnknownService(name, cluster.namespace)
    return found

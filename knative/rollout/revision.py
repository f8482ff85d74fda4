"""A Revision as the cluster has it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from snooze.knative.errors import KubectlFailed
from snooze.knative.kubectl import REVISION, SERVICE_LABEL, Cluster, find_condition
from snooze.knative.rollout.deployment import difference
from snooze.knative.rollout.errors import UnknownRevision
from snooze.knative.rollout.live import ROLLOUT, LiveService

MODEL: Final = "snooze/model"
VERSION: Final = "snooze/version"
SCORE: Final = "snooze/score"
REFUSED: Final = "snooze/refused"  # why a rollout or a rollback turned a revision down
OURS: Final = ("snooze/", "app.kubernetes.io/")
# Annotations that Knative sets on a revision itself; its labels are all of this group.
KNATIVE: Final = "serving.knative.dev/"
STATE: Final = {
    f"{KNATIVE}{name}" for name in ("creator", "lastModifier", "lastPinned", "routes", "routingStateModified")
}


class Revision(NamedTuple):
    """One revision of a Service."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The revision's name."""
        return str(self.document["metadata"]["name"])

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations; those of a revision that `kn` made say nothing about a model."""
        found: Mapping[str, str] = self.document["metadata"].get("annotations", {})
        return found

    @property
    def created(self) -> datetime:
        """When it was created."""
        return datetime.fromisoformat(self.document["metadata"]["creationTimestamp"])

    @property
    def generation(self) -> int:
        """Its number among the Service's revisions: a later one is greater."""
        return int(self.document["metadata"]["labels"][f"{KNATIVE}configurationGeneration"])

    @property
    def replicas(self) -> int:
        """The pods that are ready."""
        return int(self.document.get("status", {}).get("actualReplicas", 0))

    @property
    def ready(self) -> bool:
        """Whether it can answer, maybe after a cold start."""
        return self._condition.get("status") == "True"

    @property
    def failure(self) -> str | None:
        """Why it cannot answer, None as long as it is not known that it cannot."""
        found = self._condition
        if found.get("status") != "False":
            return None
        return f"{found.get('reason', 'not ready')}: {' '.join(found.get('message', '').split())}"

    @property
    def _condition(self) -> Mapping[str, str]:
        return find_condition(self.document, "Ready")

    def template(self) -> dict[str, Any]:
        """Return the template that it was made from; applied again it makes no other revision."""
        metadata = self.document["metadata"]
        return {
            "metadata": {
                "name": self.name,
                "labels": {key: text for key, text in metadata["labels"].items() if not key.startswith(KNATIVE)},
                "annotations": {
                    key: text for key, text in self.annotations.items() if key not in STATE and key != REFUSED
                },
            },
            "spec": self.document["spec"],
        }

    def restore(self, live: LiveService) -> dict[str, Any]:
        """Return the JSON merge patch that gives its Service this template again, with its labels and annotations."""
        template = self.template()
        return {
            "metadata": {
                kind: difference(_ours(live.document["metadata"].get(kind, {})), _ours(template["metadata"][kind]))
                for kind in ("labels", "annotations")
            },
            "spec": {"template": difference(live.document["spec"]["template"], template)},
        }


def _ours(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the labels or annotations that tell which model is served; the record of a rollout does not."""
    return {key: text for key, text in entries.items() if key.startswith(OURS) and key != ROLLOUT}


def list_revisions(cluster: Cluster, service: str) -> list[Revision]:
    """Return the revisions of a Service, the newest first."""
    found = [Revision(one) for one in cluster.list(REVISION, f"{SERVICE_LABEL}={service}")]
    return sorted(found, key=lambda one: one.generation, reverse=True)


def read_revision(cluster: Cluster, name: str) -> Revision:
    """
    Return the revision of that name.

    Raises:
        UnknownRevision: there is none.
    """
    document = cluster.get(REVISION, name)
    if document is None:
        raise UnknownRevision(name, cluster.namespace)
    return Revision(document)


def annotate(cluster: Cluster, name: str, annotations: Mapping[str, str | None]) -> None:
    """Set annotations of a revision, None removes one; do nothing where the revision was deleted."""
    try:
        cluster.patch(REVISION, name, {"metadata": {"annotations": dict(annotations)}})
    except KubectlFailed as error:
        if error.reason != "NotFound":
            raise

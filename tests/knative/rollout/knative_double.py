"""A double of a cluster with Knative, as far as a rollout sees one. The real thing is tested in `tests/cluster`."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from snooze.knative.errors import Conflict, KubectlFailed
from snooze.knative.kubectl import REVISION, SERVICE, Cluster, Object

NAME = "tumour"
TAGGED = "http://{tag}-tumour.models.example"


class KnativeDouble(Cluster):
    """One namespace, in which everything that is written has its effect at once."""

    objects: dict[tuple[str, str], Object]
    broken: dict[str, str]  # revisions that do not get ready, and why
    meanwhile: list[Callable[[], None]]  # what others do just before the next changes of the Service

    def get(self, kind: str, name: str) -> Object | None:
        return deepcopy(self.objects.get((kind, name)))

    def list(self, kind: str, selector: str) -> "list[Object]":
        label, value = selector.split("=")
        found = [one for (own, _), one in self.objects.items() if own == kind]
        return deepcopy([one for one in found if one["metadata"]["labels"].get(label) == value])

    def patch(self, kind: str, name: str, change: Any) -> Object:
        if kind == SERVICE and self.meanwhile:
            self.meanwhile.pop(0)()
        found = self.objects.get((kind, name))
        if found is None:
            raise KubectlFailed(f"{name} not found", "NotFound")
        change = deepcopy(change)
        version = found["metadata"]["resourceVersion"]
        if change.get("metadata", {}).pop("resourceVersion", version) != version:
            raise Conflict("the object has been modified", "Conflict")
        changed = merge(found, change)
        changed["metadata"]["resourceVersion"] = str(int(version) + 1)
        self.objects[kind, name] = changed
        if changed.get("spec") != found.get("spec"):
            changed["metadata"]["generation"] += 1
            self.reconcile(changed)
        return deepcopy(changed)

    def create(self, template: Object, traffic: Any) -> None:
        """Create the Service."""
        metadata = {"name": NAME, "resourceVersion": "1", "generation": 1, "labels": {}, "annotations": {}}
        service = {"kind": "Service", "metadata": metadata, "spec": {"template": template, "traffic": traffic}}
        self.objects[SERVICE, NAME] = service
        self.reconcile(service)

    def reconcile(self, service: Object) -> None:
        """Do what Knative does with the Service."""
        generation = service["metadata"]["generation"]
        template = service["spec"]["template"]
        latest = template["metadata"].get("name", f"{NAME}-{generation:05}")
        if (REVISION, latest) not in self.objects:
            self.objects[REVISION, latest] = self.make_revision(latest, generation, template)
        ready = [name for kind, name in self.objects if kind == REVISION and name not in self.broken]
        traffic = [{**one, "revisionName": one.get("revisionName", latest)} for one in service["spec"]["traffic"]]
        routed = all(one["revisionName"] in ready for one in traffic)
        before = service.get("status", {}).get("traffic", [])
        urls = [{"url": TAGGED.format(tag=one["tag"])} if "tag" in one else {} for one in traffic]
        service["status"] = {
            "observedGeneration": generation,
            "latestReadyRevisionName": latest,
            "conditions": [{"type": kind, "status": str(routed)} for kind in ("Ready", "RoutesReady")],
            "traffic": [one | url for one, url in zip(traffic, urls, strict=True)] if routed else before,
        }

    def make_revision(self, name: str, generation: int, template: Object) -> Object:
        """Return a revision; it has a pod if it is not broken."""
        labels = {"serving.knative.dev/service": NAME, "serving.knative.dev/configurationGeneration": str(generation)}
        metadata = {
            "name": name,
            "labels": template["metadata"].get("labels", {}) | labels,
            "annotations": template["metadata"].get("annotations", {}) | {"serving.knative.dev/creator": "me"},
            "creationTimestamp": f"2026-11-21T01:00:{generation:02}Z",
            "resourceVersion": "1",
        }
        problem = self.broken.get(name)
        ready = (
            {"type": "Ready", "status": "True"}
            if problem is None
            else {"type": "Ready", "status": "False", "reason": problem}
        )
        status = {"conditions": [ready], "actualReplicas": int(problem is None)}
        return {"kind": "Revision", "metadata": metadata, "spec": template["spec"], "status": status}

    @property
    def service(self) -> Object:
        """The Service as it is now."""
        return self.objects[SERVICE, NAME]

    @property
    def annotations(self) -> dict[str, dict[str, str]]:
        """The annotations of each revision."""
        return {name: one["metadata"]["annotations"] for (kind, name), one in self.objects.items() if kind == REVISION}


def merge(before: Any, change: Any) -> Any:
    """Return what a JSON merge patch (RFC 7386) makes of a document."""
    if not isinstance(change, dict):
        return change
    merged = dict(before) if isinstance(before, dict) else {}
    for name, value in change.items():
        merged[name] = None if value is None else merge(merged.get(name), value)
    return {name: value for name, value in merged.items() if value is not None}


def make_double() -> KnativeDouble:
    """Return a namespace with nothing in it."""
    double = KnativeDouble("models")
    double.objects, double.broken, double.meanwhile = {}, {}, []
    return double

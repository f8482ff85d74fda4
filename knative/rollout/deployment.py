"""A deployment: the manifest of a bundle as a file, and how it gets to a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.knative.errors import NotWritable
from snooze.knative.kubectl import Cluster
from snooze.knative.manifest import document, figures, reasons, service
from snooze.knative.manifest.options import Options
from snooze.knative.rollout import kn, live
from snooze.knative.rollout.errors import RolloutUnderWay
from snooze.knative.sizing.size import Size

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A manifest as data and as YAML, and the size it was made for."""

    manifest: Mapping[str, Any]
    text: str
    size: Size
    warnings: tuple[str, ...]
    beside: tuple[document.Document, ...] = ()  # other objects, which `text` contains as well

    @property
    def name(self) -> str:
        """The Service's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def revision(self) -> str:
        """The name of the revision that the manifest makes."""
        return str(self.manifest["spec"]["template"]["metadata"]["name"])

    @property
    def tag(self) -> str:
        """The revision's tag."""
        return str(self.manifest["spec"]["traffic"][0]["tag"])

    def write(self, output: str | None) -> Path | None:
        """
        Write the YAML to a file, by default `NAME.yaml`, and return its path; return None for standard output.

        Raises:
            NotWritable: there is another file, or no place for one.
        """
        if output == STANDARD_OUTPUT:
            return None
        return write_file(Path(output or f"{self.name}.yaml"), self.text)

    def add(self, *others: document.Document) -> "Deployment":
        """Return the deployment with other objects beside its Service."""
        parts = [document.write(*one).removeprefix(document.HEADER) for one in others]
        text = "---\n".join([self.text, *parts])
        return Deployment(self.manifest, text, self.size, self.warnings, (*self.beside, *others))

    def apply(self, cluster: Cluster) -> live.LiveService:
        """
        Create the Service or give it the manifest's template, and return it; nothing changes if it has that already.

        The revision gets all requests; but where several revisions share them, that stays, and it gets none.

        Raises:
            RolloutUnderWay: a rollout decides about the traffic.
            Conflict: somebody else changed the Service meanwhile.
            KubectlFailed, MissingProgram: as for every use of a cluster.
        """
        found = live.find(cluster, self.name)
        if found is not None and found.rollout is not None and not found.rollout.get("held"):
            raise RolloutUnderWay(self.name)
        for one in self.beside:  # before the Service: a policy protects its first pod, a missing kind ends it here
            cluster.apply(document.write(*one))
        if found is None:
            cluster.apply(self.text)
            return live.read(cluster, self.name)
        return self.replace(found, self.traffic(found))

    def traffic(self, found: live.LiveService) -> list[dict[str, Any]]:
        """Return the traffic with this revision: all of it, or what is split now and this revision's tag at 0 %."""
        own: list[dict[str, Any]] = self.manifest["spec"]["traffic"]
        if len(found.split) < 2:
            return own
        split = [target_entry(*one[:3]) for one in found.targets]
        return split if self.tag in (one.tag for one in found.targets) else [*split, {**own[0], "percent": 0}]

    def replace(self, found: live.LiveService, traffic: Sequence[Mapping[str, Any]]) -> live.LiveService:
        """
        Give a Service the manifest's template, labels and annotations, and a traffic; return it.

        What others added to another template is removed: the revision's name stands for exactly this one.

        Raises:
            Conflict: somebody else changed it since it was read.
        """
        metadata, template = self.manifest["metadata"], self.manifest["spec"]["template"]
        before = found.document
        old = before["spec"]["template"]
        is_same = old.get("metadata", {}).get("name") == self.revision
        change = {
            "metadata": {
                "labels": _without(before, "labels", (kn.VISIBILITY,)) | metadata["labels"],
                "annotations": _without(before, "annotations", ("snooze/score",)) | metadata["annotations"],
            },
            "spec": {"template": {} if is_same else difference(old, template), "traffic": list(traffic)},
        }
        return found.change(change)

    def as_dict(self, file: Path) -> dict[str, Any]:
        """Return the deployment as a JSON object; `file` is the manifest's path."""
        return {
            "file": str(file),
            "manifest": self.manifest,
            "beside": [one.manifest for one in self.beside],
            "apply": kn.apply_command(str(file)),
            "create": kn.create_command(self.manifest),
            "left_out": kn.left_out(self.manifest),
            "warnings": list(self.warnings),
            "size": asdict(self.size),
        }


def prepare(bundle: Bundle, digest: str, size: Size, options: Options) -> Deployment:
    """
    Return the deployment of a bundle whose `bundle.json` has the SHA-256 `digest`.

    Raises:
        InvalidOption: `max_scale` allows fewer pods than the load needs, or the name is too long for a revision's.
        MissingExtra: PyYAML is not installed.
    """
    given = figures.override(size, options)
    manifest = service.build(bundle, digest, given, options)
    text = document.write(manifest, reasons.explain(given, options))
    return Deployment(manifest, text, given, (*options.warnings(), *figures.warnings(size, given)))


def target_entry(revision: str, percent: int, tag: str | None) -> dict[str, Any]:
    """Return a target of `spec.traffic`."""
    entry = {"revisionName": revision, "percent": percent, "latestRevision": False}
    return entry if tag is None else {**entry, "tag": tag}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7386) that makes `after` of `before`."""
    change: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        change[name] = difference(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return change


def _without(before: Mapping[str, Any], kind: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the change that removes labels or annotations that an earlier manifest of ours had."""
    metadata = before["metadata"]
    ours = metadata.get("labels", {}).get("app.kubernetes.io/managed-by") == "snooze"
    return {name: None for name in names if ours and name in metadata.get(kind, {})}


def write_file(path: Path, text: str, option: str = "--output") -> Path:
    """
    Write what `document.write` made to a file, and return its path; `option` names the file.

    Raises:
        NotWritable: there is another file, or no place for one.
    """
    try:
        if path.exists():
            _check_is_ours(path, option)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise NotWritable(path, error.strerror or str(error), option) from None
    return path


def _check_is_ours(path: Path, option: str) -> None:
    """
    Check that `snooze deploy` wrote a file, by its first line: the path may be a device without an end.

    Raises:
        NotWritable: it did not.
    """
    if not path.is_file():
        raise NotWritable(path, "it is not a regular file", option)
    header = document.HEADER.encode()
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise NotWritable(path, "it exists and was not written by snooze deploy", option)

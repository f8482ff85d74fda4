"""Volumes and where they are mounted."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

from snooze.knative.names import DNS_1123_LABEL
from snooze.knative.problems import Problem
from snooze.knative.quantities import parse_quantity

SOURCES: Final = (
    "secret",
    "configMap",
    "projected",
    "emptyDir",
    "persistentVolumeClaim",
    "hostPath",
    "csi",
    "ephemeral",
    "image",
)
WRITABLE: Final = ("emptyDir", "persistentVolumeClaim", "ephemeral")
RESERVED: Final = ("/", "/dev", "/dev/log")
WRITE_FEATURE: Final = "kubernetes.podspec-persistent-volume-write"


def check_volumes(
    volumes: Sequence[Mapping[str, Any]], mounted: Set[str], features: Set[str], path: str
) -> Iterator[Problem]:
    """Yield what is wrong with a pod's volumes; `mounted` are the names that some container mounts."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        here, name = f"{path}[{index}]", volume.get("name") or ""
        if DNS_1123_LABEL.fullmatch(name) is None:
            yield Problem(f"{here}.name", f"{name!r} is no legal name", "write lower case letters, digits and '-'")
        elif name in seen:
            yield Problem(f"{here}.name", f"another volume is called {name!r}", "rename one of them")
        elif name not in mounted:
            yield Problem(f"{here}.name", f"no container mounts {name!r}", "mount or remove it")
        seen.add(name)
        yield from _source(volume, features, here)


def _source(volume: Mapping[str, Any], features: Set[str], path: str) -> Iterator[Problem]:
    sources = [source for source in SOURCES if volume.get(source) is not None]
    if len(sources) != 1:
        found = f"found {' and '.join(sources)}" if sources else "found none"
        yield Problem(path, f"needs exactly one source, {found}", "keep or add one, such as emptyDir: {}")
    empty = volume.get("emptyDir") or {}
    if empty.get("medium") not in (None, "", "Memory"):
        yield Problem(f"{path}.emptyDir.medium", f"expected Memory or none, got {empty['medium']!r}", "correct it")
    limit = parse_quantity(empty["sizeLimit"]) if "sizeLimit" in empty else None
    if limit is not None and limit < 0:
        yield Problem(f"{path}.emptyDir.sizeLimit", "is negative", "raise or remove it")
    claim = volume.get("persistentVolumeClaim")
    if claim is not None and not claim.get("readOnly") and WRITE_FEATURE not in features:
        yield Problem(
            f"{path}.persistentVolumeClaim.readOnly",
            f"writing needs the cluster's feature {WRITE_FEATURE}",
            f"set readOnly: true, or turn the feature on and say --cluster-feature {WRITE_FEATURE}",
        )


def check_mounts(
    mounts: Sequence[Mapping[str, Any]], volumes: Mapping[str, Mapping[str, Any]], path: str
) -> Iterator[Problem]:
    """Yield what is wrong with where a container mounts `volumes`, given by name."""
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        here, name, place = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if name not in volumes:
            yield Problem(f"{here}.name", f"there is no volume {name!r}", "add it to spec.template.spec.volumes")
        clean = posixpath.normpath(place)
        if not place.startswith("/"):
            yield Problem(f"{here}.mountPath", f"{place!r} is not absolute", "begin it with /")
        elif clean in RESERVED:
            yield Problem(f"{here}.mountPath", f"{clean!r} is reserved", "mount it elsewhere")
        elif clean in seen:
            yield Problem(f"{here}.mountPath", f"{clean!r} is taken by another mount", "mount it elsewhere")
        seen.add(clean)
        yield from _writing(mount, volumes.get(name, {}), here)


def _writing(mount: Mapping[str, Any], volume: Mapping[str, Any], path: str) -> Iterator[Problem]:
    writable = any(volume.get(source) is not None for source in WRITABLE)
    if volume and not writable and mount.get("readOnly") is False:
        yield Problem(
            f"{path}.readOnly",
            "Knative mounts this kind of volume read-only, whatever is written here",
            "set it to true or remove it",
            warning=True,
        )
    claim = volume.get("persistentVolumeClaim") or {}
    if claim.get("readOnly") and not mount.get("readOnly"):
        yield Problem(f"{path}.readOnly", "the volume is read-only, the mount is not", "set readOnly: true")

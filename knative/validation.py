"""
Whether a cluster would take a manifest, found out without one.

The rules are those of Knative Serving 1.23 (its schema and its webhook), and a few of our own where the webhook lets
something pass that fails later or makes cold starts slow. `tests/knative/test_oracle.py` compares the two.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from snooze.knative.annotations import (
    ZERO_INITIAL_SCALE,
    check_labels,
    check_service_annotations,
    check_template_annotations,
)
from snooze.knative.containers import check_container
from snooze.knative.errors import InvalidManifest, InvalidOption
from snooze.knative.fields import DEFAULT_FEATURES, FEATURES
from snooze.knative.names import DNS_1035, DNS_1123_SUBDOMAIN, LONGEST
from snooze.knative.probes import DEFAULT_PORT_NAME, check_probes, check_sidecar_probes
from snooze.knative.problems import Problem, did_you_mean
from snooze.knative.shape import WrongType, check_shape
from snooze.knative.traffic import check_traffic
from snooze.knative.volumes import check_mounts, check_volumes

API_VERSION: Final = "serving.knative.dev/v1"
LONGEST_TIMEOUT: Final = 600
DEFAULT_TIMEOUT: Final = 300
SHORTEST_TIMEOUT: Final = 45  # the pod's grace period: 30 s of the queue-proxy's drain, then ours
MOST_CONCURRENCY: Final = 1000
POD: Final = "spec.template.spec"


def known_features(names: Set[str]) -> frozenset[str]:
    """
    Return the cluster's features that are on: those that are by default, and `names`.

    Raises:
        InvalidOption: Knative has no feature of such a name.
    """
    known = FEATURES | {ZERO_INITIAL_SCALE}
    for name in sorted(names - known):
        raise InvalidOption("--cluster-feature", f"there is no feature {name!r}; {did_you_mean(name, known)}")
    return DEFAULT_FEATURES | names


def validate(manifest: object, features: Set[str] = DEFAULT_FEATURES) -> list[Problem]:
    """Return everything that is wrong with the manifest of a Knative Service, errors before warnings."""
    problems = list(check_shape(manifest, features))
    if isinstance(manifest, dict) and not any(isinstance(problem, WrongType) for problem in problems):
        problems += _service(manifest, features)
    return sorted(problems, key=lambda problem: problem.warning)


def require_valid(manifest: object, features: Set[str] = DEFAULT_FEATURES) -> list[Problem]:
    """
    Return the warnings about a manifest.

    Raises:
        InvalidManifest: carries each error.
    """
    problems = validate(manifest, features)
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        raise InvalidManifest(errors)
    return problems


def _service(manifest: Mapping[str, Any], features: Set[str]) -> Iterator[Problem]:
    for field, expected in (("apiVersion", API_VERSION), ("kind", "Service")):
        if manifest.get(field) != expected:
            yield Problem(field, f"expected {expected}, got {manifest.get(field)!r}", f"write {field}: {expected}")
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    name = metadata.get("name") or ""
    yield from _name(name, bool(metadata.get("generateName")))
    yield from check_service_annotations(metadata.get("annotations") or {}, "metadata.annotations")
    yield from check_labels(metadata.get("labels") or {}, "metadata.labels")
    template = spec.get("template") or {}
    yield from _template_metadata(template.get("metadata") or {}, name, features)
    pod = template.get("spec") or {}
    yield from _numbers(pod)
    yield from _pod(pod, features)
    yield from check_traffic(spec.get("traffic") or [], name, "spec.traffic")


def _name(name: str, generated: bool) -> Iterator[Problem]:
    if not name and not generated:
        yield Problem("metadata.name", "is missing", "name the service")
    elif name and DNS_1035.fullmatch(name) is None:
        yield Problem(
            "metadata.name",
            f"{name!r} is no DNS-1035 label",
            "write at most 50 lower case letters, digits and '-', beginning with a letter",
        )
    elif len(name) > LONGEST:
        yield Problem(
            "metadata.name",
            f"has {len(name)} characters, and revisions and tags add theirs to make labels of at most 63",
            f"shorten it to {LONGEST}",
        )


def _template_metadata(metadata: Mapping[str, Any], service: str, features: Set[str]) -> Iterator[Problem]:
    path = "spec.template.metadata"
    name = metadata.get("name") or ""
    if name and DNS_1035.fullmatch(name) is None:
        yield Problem(f"{path}.name", f"{name!r} is no DNS-1035 label", "write lower case letters, digits and '-'")
    elif name and not name.startswith(f"{service}-"):
        yield Problem(f"{path}.name", f"{name!r} does not begin with {service}-", f"name it {service}-{name}")
    yield from check_template_annotations(metadata.get("annotations") or {}, f"{path}.annotations", features)
    yield from check_labels(metadata.get("labels") or {}, f"{path}.labels")


def _numbers(pod: Mapping[str, Any]) -> Iterator[Problem]:
    concurrency = pod.get("containerConcurrency") or 0
    if not 0 <= concurrency <= MOST_CONCURRENCY:
        yield Problem(
            f"{POD}.containerConcurrency",
            f"expected 0 to {MOST_CONCURRENCY}, got {concurrency}",
            "correct it; 0 is no limit",
        )
    timeout = pod.get("timeoutSeconds") or DEFAULT_TIMEOUT
    if not 0 <= timeout <= LONGEST_TIMEOUT:
        yield Problem(f"{POD}.timeoutSeconds", f"expected 0 to {LONGEST_TIMEOUT}, got {timeout}", "correct it")
    elif timeout < SHORTEST_TIMEOUT:
        yield Problem(
            f"{POD}.timeoutSeconds",
            f"{timeout} s is also the pod's grace period, of which Knative's drain takes 30 s before SIGTERM",
            f"set {SHORTEST_TIMEOUT} or more, and bound latency by responseStartTimeoutSeconds",
        )
    for name in ("responseStartTimeoutSeconds", "idleTimeoutSeconds"):
        value = pod.get(name) or 0
        if not 0 <= value <= timeout:
            yield Problem(f"{POD}.{name}", f"expected 0 to timeoutSeconds ({timeout}), got {value}", "lower it")


def _pod(pod: Mapping[str, Any], features: Set[str]) -> Iterator[Problem]:
    if pod.get("automountServiceAccountToken"):
        yield Problem(f"{POD}.automountServiceAccountToken", "Knative only takes false", "set it to false")
    account = pod.get("serviceAccountName") or ""
    if account and DNS_1123_SUBDOMAIN.fullmatch(account) is None:
        yield Problem(f"{POD}.serviceAccountName", f"{account!r} is no legal name", "correct it")
    containers: list[Mapping[str, Any]] = pod.get("containers") or []
    volumes: list[Mapping[str, Any]] = pod.get("volumes") or []
    mounted = {mount.get("name") for container in containers for mount in container.get("volumeMounts") or []}
    yield from check_volumes(volumes, {name for name in mounted if name}, features, f"{POD}.volumes")
    yield from _ports(containers)
    yield from _container_names(containers, features)
    by_name = {str(volume.get("name")): volume for volume in volumes}
    for index, container in enumerate(containers):
        path = f"{POD}.containers[{index}]"
        ports = container.get("ports") or []
        sidecar = len(containers) > 1 and not ports
        yield from check_container(container, sidecar, path)
        yield from check_mounts(container.get("volumeMounts") or [], by_name, f"{path}.volumeMounts")
        if sidecar and "multi-container-probing" not in features:
            yield from check_sidecar_probes(container, path)
        elif not sidecar:
            name = (ports[0].get("name") if ports else "") or DEFAULT_PORT_NAME
            yield from check_probes(container, name, path)


def _ports(containers: list[Mapping[str, Any]]) -> Iterator[Problem]:
    count = sum(len(container.get("ports") or []) for container in containers)
    if not containers:
        yield Problem(f"{POD}.containers", "there is none", "add the container that serves")
    elif count > 1:
        yield Problem(f"{POD}.containers[*].ports", f"{count} ports are set, over all containers", "keep one")
    elif count == 0 and len(containers) > 1:
        yield Problem(f"{POD}.containers[*].ports", "no container has a port", "give one to the container that serves")


def _container_names(containers: list[Mapping[str, Any]], features: Set[str]) -> Iterator[Problem]:
    if len(containers) > 1 and "multi-container" not in features:
        yield Problem(f"{POD}.containers", "the cluster's feature multi-container is off", "keep one container")
    seen: set[str] = set()
    for index, container in enumerate(containers):
        name = container.get("name") or ""
        if name and name in seen:
            yield Problem(f"{POD}.containers[{index}].name", f"another container is called {name!r}", "rename one")
        seen.add(name)

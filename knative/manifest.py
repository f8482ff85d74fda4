"""The manifest of a Knative Service for one bundle: sized, restricted, quick to wake, and with its reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.knative.document import Path
from snooze.knative.names import label_value
from snooze.knative.quantities import MEBIBYTE, cpu, memory
from snooze.knative.sizing import MEMORY_HEADROOM, PLANNED_UTILIZATION, Size
from snooze.knative.validation import API_VERSION

PORT: Final = 8080
USER: Final = 65532
TIMEOUT: Final = 60
WINDOW: Final = 60
TEMPLATE: Final[Path] = ("spec", "template")
POD: Final[Path] = (*TEMPLATE, "spec")
CONTAINER: Final[Path] = (*POD, "containers", 0)
MAX_BODY: Final = "SNOOZE_MAX_BODY"
AUTOSCALING: Final = "autoscaling.knative.dev/"


@dataclass(frozen=True, slots=True)
class Options:
    """
    What a manifest says besides the bundle and its size. Times are in seconds.

    `max_scale` None follows from the size. `private` hides the service from outside the cluster.
    """

    image: str
    name: str
    namespace: str = "default"
    min_scale: int = 0
    max_scale: int | None = None
    window: int = WINDOW
    timeout: int = TIMEOUT
    private: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def build(bundle: Bundle, digest: str, size: Size, options: Options) -> dict[str, Any]:
    """Return the manifest as plain data; `digest` is the SHA-256 of the bundle's `bundle.json`."""
    labels = {
        "app.kubernetes.io/name": label_value(bundle.name),
        "app.kubernetes.io/version": str(bundle.version),
        "app.kubernetes.io/managed-by": "snooze",
    }
    visibility = {"networking.knative.dev/visibility": "cluster-local"} if options.private else {}
    model = {"snooze/bundle": digest, "snooze/model": bundle.name, "snooze/version": str(bundle.version)}
    return {
        "apiVersion": API_VERSION,
        "kind": "Service",
        "metadata": {
            "name": options.name,
            "namespace": options.namespace,
            "labels": labels | visibility,
            "annotations": dict(model),
        },
        "spec": {
            "template": {
                "metadata": {"labels": dict(labels), "annotations": model | _scaling(size, options)},
                "spec": _pod(size, options),
            }
        },
    }


def _scaling(size: Size, options: Options) -> dict[str, str]:
    most = most_pods(size, options)
    values = {
        "max-scale": str(most),
        "metric": "concurrency",
        "min-scale": str(options.min_scale),
        "target": str(size.target),
        "target-burst-capacity": str(size.burst_capacity),
        "window": f"{options.window}s",
    }
    return {f"{AUTOSCALING}{name}": value for name, value in values.items()}


def most_pods(size: Size, options: Options) -> int:
    """Return `max-scale`: what was asked for, or room for twice the rate."""
    return options.max_scale if options.max_scale is not None else max(2 * size.pods, options.min_scale)


def _pod(size: Size, options: Options) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "containerConcurrency": size.concurrency,
        "containers": [_container(size, options)],
        "enableServiceLinks": False,
        "timeoutSeconds": options.timeout,
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _container(size: Size, options: Options) -> dict[str, Any]:
    said = {MAX_BODY: str(size.max_body), **options.environment}
    environment = [{"name": name, "value": value} for name, value in sorted(said.items())]
    return {
        "image": options.image,
        "env": environment,
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz"}},
        "resources": {
            "limits": {"cpu": cpu(size.cpu_limit), "memory": memory(size.memory_limit)},
            "requests": {"cpu": cpu(size.cpu_request), "memory": memory(size.memory_request)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the container's own, not ours
    }


def reasons(size: Size, options: Options) -> dict[Path, str]:
    """Return why the fields are as they are, by their places."""
    return _scaling_reasons(size, options) | _pod_reasons(size) | _container_reasons(size)


def _scaling_reasons(size: Size, options: Options) -> dict[Path, str]:
    annotations: Path = (*TEMPLATE, "metadata", "annotations")
    promise = f", 99 in 100 within {size.p99_seconds * 1e3:g} ms" if size.p99_seconds is not None else ""
    rates = f"{size.rps:g} requests/s of {size.rows} row{'s' * (size.rows > 1)}{promise}"
    pods = f"{size.pods} pod{'s' * (size.pods > 1)} of at most {size.rps_per_pod:.4g} requests/s each"
    room = "As asked for." if options.max_scale is not None else "Room for twice that; this is also the cost limit."
    return {
        (*annotations, f"{AUTOSCALING}max-scale"): f"{rates}: {pods}.\n{room}",
        (*annotations, f"{AUTOSCALING}target"): (
            f"Knative adds a pod at 70 % of it: the requests inside one that is busy for {PLANNED_UTILIZATION:.0%} of "
            "the time (Little's law)."
        ),
        (*annotations, f"{AUTOSCALING}target-burst-capacity"): _burst_reason(size),
    }


def _pod_reasons(size: Size) -> dict[Path, str]:
    return {
        (*POD, "automountServiceAccountToken"): "The server calls no API; one volume less to mount when waking.",
        (*POD, "containerConcurrency"): _concurrency_reason(size),
        (*POD, "enableServiceLinks"): "Would make waking slower with every other service in the namespace.",
        (*POD, "timeoutSeconds"): (
            "Also the pod's grace period, of which Knative's drain takes 30 s before the server gets SIGTERM."
        ),
    }


def _container_reasons(size: Size) -> dict[Path, str]:
    pod = size.pod
    return {
        (*CONTAINER, "env"): (
            f"A body over {size.max_body / MEBIBYTE:g} MiB is answered 413; the memory below is for no more."
        ),
        (*CONTAINER, "readinessProbe"): (
            "No periodSeconds: Knative asks every 50 ms. No startupProbe: it would make the first request wait."
        ),
        (*CONTAINER, "resources", "limits"): (
            "A start from zero takes CPU time: less than one core would stretch it.\n"
            f"Memory: {MEMORY_HEADROOM:g} times the predicted peak, and room to read the largest body."
        ),
        (*CONTAINER, "resources", "requests"): (
            f"Predicted for {pod.rps:.4g} requests/s in a pod: {pod.cpu_cores:.3g} cores{_error(size, 'cpu_cores')}, "
            f"peak {size.memory_request / MEBIBYTE:.0f} MiB{_error(size, 'peak_bytes')}.\n"
            "Knative's queue-proxy asks for 25m of CPU besides."
        ),
        (*CONTAINER, "volumeMounts"): "The only place to write to; the root file system is read-only.",
    }


def _error(size: Size, name: str) -> str:
    seen = size.errors.get(name)
    return f" (error seen: {seen.typical:.0%}, at most {seen.largest:.0%})" if seen else ""


def _burst_reason(size: Size) -> str:
    match size.burst_capacity:
        case -1:
            return "Keeps the activator in the path: with so few slots it must choose the pod that has one."
        case 0:
            return "Takes the activator out of the path once a pod runs: the model answers faster than the detour."
        case _:
            return "Knative's default: the activator spreads requests while few pods run."


def _concurrency_reason(size: Size) -> str:
    if size.concurrency == 0:
        return "No hard limit: so many requests fit into the time promised that it would only reject."
    return "More at once could not all be answered in the time promised; ten times as many wait, then 503."

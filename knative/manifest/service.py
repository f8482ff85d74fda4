"""The manifest of a Knative Service for one bundle, and the reasons for its fields."""

from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.bundle.units import format_count, format_duration, format_size
from snooze.knative.manifest.document import Path
from snooze.knative.manifest.names import label_value
from snooze.knative.manifest.options import BODY_VARIABLE, Options
from snooze.knative.manifest.quantities import format_cpu, format_memory
from snooze.knative.sizing.size import KNATIVE_BURST_CAPACITY, MEMORY_HEADROOM, PLANNED_UTILIZATION, Size

API_VERSION: Final = "serving.knative.dev/v1"
AUTOSCALING: Final = "autoscaling.knative.dev/"
PORT: Final = 8080
SCRATCH: Final = "scratch"
TEMPLATE: Final[Path] = ("spec", "template")
POD: Final[Path] = (*TEMPLATE, "spec")
CONTAINER: Final[Path] = (*POD, "containers", 0)
BURST_REASONS: Final = {
    -1: "Keeps the activator in the path: it finds the pod that has a free slot, and slots are few.",
    0: "Removes the activator from the path once a pod runs: the model is faster than the detour.",
    KNATIVE_BURST_CAPACITY: "Knative's default: the activator spreads requests while few pods run.",
}


def build(bundle: Bundle, digest: str, size: Size, options: Options) -> dict[str, Any]:
    """Return the manifest; `digest` is the SHA-256 of the bundle's `bundle.json`."""
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


def max_scale(size: Size, options: Options) -> int:
    """Return the most pods: the option's, or room for twice the load."""
    return options.max_scale if options.max_scale is not None else max(2 * size.pods, options.min_scale)


def _scaling(size: Size, options: Options) -> dict[str, str]:
    values = {
        "max-scale": str(max_scale(size, options)),
        "metric": "concurrency",
        "min-scale": str(options.min_scale),
        "target": str(size.target),
        "target-burst-capacity": str(size.burst_capacity),
        "window": f"{int(options.window)}s",
    }
    return {f"{AUTOSCALING}{name}": value for name, value in values.items()}


def _pod(size: Size, options: Options) -> dict[str, Any]:
    volumes = {"volumes": [{"name": SCRATCH, "emptyDir": {}}]} if options.scratch else {}
    return {
        "automountServiceAccountToken": False,
        "containerConcurrency": size.concurrency,
        "containers": [_container(size, options)],
        "enableServiceLinks": False,
        "timeoutSeconds": int(options.timeout),
        **volumes,
    }


def _container(size: Size, options: Options) -> dict[str, Any]:
    environment = {BODY_VARIABLE: str(size.max_body), **options.environment}
    user = {} if options.user is None else {"runAsUser": options.user}
    mounts = {"volumeMounts": [{"name": SCRATCH, "mountPath": "/tmp"}]} if options.scratch else {}  # noqa: S108 - in the container
    return {
        "image": options.image,
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz"}},
        "resources": {
            "limits": {"cpu": format_cpu(size.cpu_limit), "memory": format_memory(size.memory_limit)},
            "requests": {"cpu": format_cpu(size.cpu_request), "memory": format_memory(size.memory_request)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            **user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **mounts,
    }


def explain(size: Size, options: Options) -> dict[Path, str]:
    """Return the reasons for the fields of the manifest, by their paths."""
    return _explain_scaling(size, options) | _explain_pod(size, options) | _explain_container(size)


def _explain_scaling(size: Size, options: Options) -> dict[Path, str]:
    annotations: Path = (*TEMPLATE, "metadata", "annotations")
    p99 = f", p99 {format_duration(size.p99_seconds)}" if size.p99_seconds is not None else ""
    load = f"{size.rps:g} requests/s of {format_count(size.rows, 'row')}{p99}"
    pods = f"{format_count(size.pods, 'pod')} for up to {size.rps_per_pod:.4g} requests/s each"
    limit = "As given." if options.max_scale is not None else "Room for twice that; this also limits the cost."
    return {
        (*annotations, f"{AUTOSCALING}max-scale"): f"{load}: {pods}.\n{limit}",
        (*annotations, f"{AUTOSCALING}target"): (
            "Knative adds a pod at 70 % of the target: the requests inside a pod that is busy "
            f"{PLANNED_UTILIZATION:.0%} of the time (Little's law)."
        ),
        (*annotations, f"{AUTOSCALING}target-burst-capacity"): BURST_REASONS[size.burst_capacity],
    }


def _explain_pod(size: Size, options: Options) -> dict[Path, str]:
    concurrency = (
        "More at once could not all meet the p99; up to ten times as many wait, the others get 503."
        if size.concurrency
        else "No hard limit: no p99 was given, or so many requests fit into it that a limit would only reject."
    )
    scratch = {(*POD, "volumes"): "Costs about 280 ms in each cold start."} if options.scratch else {}
    return {
        (*POD, "automountServiceAccountToken"): "The server does not call the API, and a volume slows a cold start.",
        (*POD, "containerConcurrency"): concurrency,
        (*POD, "enableServiceLinks"): "They slow a cold start with each other service in the namespace.",
        (*POD, "timeoutSeconds"): "Also the pod's grace period, of which Knative's drain takes 30 s before SIGTERM.",
        **scratch,
    }


def _explain_container(size: Size) -> dict[Path, str]:
    pod = size.pod
    return {
        (*CONTAINER, "env"): (
            f"A body of more than {format_size(size.max_body)} is answered 413; the memory limit depends on this."
        ),
        (*CONTAINER, "readinessProbe"): (
            "Without periodSeconds Knative probes every 50 ms. A startupProbe would delay the first request."
        ),
        (*CONTAINER, "resources", "limits"): (
            "A cold start needs CPU time: less than one core would stretch it.\n"
            f"Memory: {MEMORY_HEADROOM:g} times the predicted peak, and {MEMORY_FACTOR} times the largest body."
        ),
        (*CONTAINER, "resources", "requests"): (
            f"Predicted for {pod.rps:.4g} requests/s: {pod.cpu_cores:.3g} cores{_deviation(size, 'cpu_cores')}, peak "
            f"{format_size(size.memory_request)}{_deviation(size, 'peak_bytes')}.\n"
            "Knative's queue-proxy requests another 25m of CPU."
        ),
    }


def _deviation(size: Size, figure: str) -> str:
    deviation = size.deviations[figure]
    return f" (typical error {deviation.typical:.0%}, largest seen {deviation.largest:.0%})"

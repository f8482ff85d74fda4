"""The reasons for the fields of a manifest, which become comments above them."""

from typing import Final

from snooze.bundle.limits import MEMORY_FACTOR
from snooze.bundle.units import format_count, format_duration, format_size
from snooze.knative.manifest.document import Path
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.service import AUTOSCALING, RETENTION
from snooze.knative.sizing.size import KNATIVE_BURST_CAPACITY, MEMORY_HEADROOM, PLANNED_UTILIZATION, Size

SPEC: Final[Path] = ("spec",)
TEMPLATE: Final[Path] = (*SPEC, "template")
ANNOTATIONS: Final[Path] = (*TEMPLATE, "metadata", "annotations")
POD: Final[Path] = (*TEMPLATE, "spec")
CONTAINER: Final[Path] = (*POD, "containers", 0)
LIMITS: Final[Path] = (*CONTAINER, "resources", "limits")
REQUESTS: Final[Path] = (*CONTAINER, "resources", "requests")
PROBE: Final[Path] = (*CONTAINER, "livenessProbe")
GIVEN: Final = "As given."
BURST_REASONS: Final = {
    -1: "Keeps the activator in the path: it finds the pod that has a free slot, and slots are few.",
    0: "Removes the activator from the path once a pod runs: the model is faster than the detour.",
    KNATIVE_BURST_CAPACITY: "Knative's default: the activator spreads requests while few pods run.",
}
# The field that an option replaces the calculated figure of.
FIELDS: Final[dict[str, Path]] = {
    "cpu_request": (*REQUESTS, "cpu"),
    "cpu_limit": (*LIMITS, "cpu"),
    "memory_request": (*REQUESTS, "memory"),
    "memory_limit": (*LIMITS, "memory"),
    "concurrency": (*POD, "containerConcurrency"),
    "target": (*ANNOTATIONS, f"{AUTOSCALING}target"),
    "burst_capacity": (*ANNOTATIONS, f"{AUTOSCALING}target-burst-capacity"),
    "start_timeout": (*PROBE, "initialDelaySeconds"),
}


def explain(size: Size, options: Options) -> dict[Path, str]:
    """Return the reasons for the fields of the manifest, by their paths."""
    given = {path: GIVEN for name, path in FIELDS.items() if getattr(options, name) is not None}
    return _explain_scaling(size, options) | _explain_pod(size, options) | _explain_container(size, options) | given


def _explain_scaling(size: Size, options: Options) -> dict[Path, str]:
    p99 = f", p99 {format_duration(size.p99_seconds)}" if size.p99_seconds is not None else ""
    load = f"{size.rps:g} requests/s of {format_count(size.rows, 'row')}{p99}"
    pods = f"{format_count(size.pods, 'pod')} for up to {size.rps_per_pod:.4g} requests/s each"
    limit = GIVEN if options.max_scale is not None else "Room for twice that; this also limits the cost."
    retention = {(*ANNOTATIONS, RETENTION): "The last pod stays for so long, idle, and answers without a cold start."}
    return {
        (*TEMPLATE, "metadata", "name"): (
            "Version of the model, and a hash of this template: another configuration is another revision."
        ),
        (*SPEC, "traffic"): "The tag gives this revision a URL of its own: <tag>-<service>.<namespace>.<domain>",
        (*ANNOTATIONS, f"{AUTOSCALING}max-scale"): f"{load}: {pods}.\n{limit}",
        (*ANNOTATIONS, f"{AUTOSCALING}target"): (
            "Knative adds a pod at 70 % of the target: the requests inside a pod that is busy "
            f"{PLANNED_UTILIZATION:.0%} of the time (Little's law)."
        ),
        (*ANNOTATIONS, f"{AUTOSCALING}target-burst-capacity"): BURST_REASONS.get(size.burst_capacity, GIVEN),
        **(retention if options.retention else {}),
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


def _explain_container(size: Size, options: Options) -> dict[Path, str]:
    pod = size.pod
    return {
        (*CONTAINER, "env"): (
            f"A body of more than {format_size(size.max_body)} is answered 413; the memory limit depends on this."
        ),
        PROBE: "Restarts a server whose event loop hangs; readiness and a cold start do not wait for it.",
        (*PROBE, "initialDelaySeconds"): (
            "Several times the CPU time of a start at the CPU request: a slow start is not restarted."
        ),
        (*PROBE, "failureThreshold"): (
            f"A run may keep the loop busy, but no request takes longer than {format_duration(options.timeout)}."
        ),
        (*CONTAINER, "readinessProbe"): (
            "Without periodSeconds Knative probes every 50 ms. A startupProbe would delay the first request."
        ),
        (*LIMITS, "cpu"): "A cold start needs CPU time: less than one core would stretch it.",
        (*LIMITS, "memory"): (
            f"{MEMORY_HEADROOM:g} times the predicted peak, and {MEMORY_FACTOR} times the largest body."
        ),
        (*REQUESTS, "cpu"): (
            f"Predicted for {pod.rps:.4g} requests/s: {pod.cpu_cores:.3g} cores{_deviation(size, 'cpu_cores')}.\n"
            "Knative's queue-proxy requests another 25m."
        ),
        (*REQUESTS, "memory"): f"The predicted peak{_deviation(size, 'peak_bytes')}.",
    }


def _deviation(size: Size, figure: str) -> str:
    deviation = size.deviations[figure]
    return f" (typical error {deviation.typical:.0%}, largest seen {deviation.largest:.0%})"

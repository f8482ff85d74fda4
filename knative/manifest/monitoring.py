"""What Prometheus needs to watch a service: a PodMonitor for its pods, and alert rules sized from its profile."""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from snooze.bundle.evidence import Profile
from snooze.bundle.units import format_count, format_duration
from snooze.knative.kubectl import SERVICE_LABEL
from snooze.knative.manifest.document import Document, Path
from snooze.knative.sizing.size import Size

API_VERSION: Final = "monitoring.coreos.com/v1"
PORT_NAME: Final = "user-port"  # Knative's name for the container's port; 9090 and 9091 are its queue-proxy's
INTERVAL_SECONDS: Final = 15
DRAIN_SECONDS: Final = 30  # of a pod that Knative ends; not configurable
SHARE: Final = 0.01  # of the requests
MIN_REQUESTS: Final = 100  # of fewer the p99 is the slowest one
MAX_BUCKET_SECONDS: Final = 10.0  # the highest bound of `snooze_request_seconds`
SERVER_SECONDS: Final = 0.5  # to start the server without a model on one core; on Knative it took 0.27
START_FACTOR: Final = 4  # a busy node, and another CPU than that of the profile
BY: Final = "namespace, service, revision, model_version"
# Labels of every series, from the labels and annotations of the pod. None of them is a label of our own metrics.
LABELS: Final = {
    "service": "__meta_kubernetes_pod_label_serving_knative_dev_service",
    "revision": "__meta_kubernetes_pod_label_serving_knative_dev_revision",
    "model_version": "__meta_kubernetes_pod_annotation_snooze_version",
}


class Threshold(NamedTuple):
    """A value that an alert compares with, and where it comes from."""

    value: float
    reason: str


class Thresholds(NamedTuple):
    """Those that depend on the service: seconds, seconds, and pods per hour."""

    p99: Threshold
    cold_start: Threshold
    starts: Threshold


class Alert(NamedTuple):
    """An alert rule; `seconds` is how long the expression has to hold."""

    name: str
    expression: str
    seconds: int
    severity: str
    summary: str
    description: str
    reason: str

    def as_rule(self, service: str, namespace: str) -> dict[str, Any]:
        """Return the rule as Prometheus has it."""
        wait = {"for": f"{self.seconds}s"} if self.seconds else {}
        place = "{{ $labels.revision }} (model version {{ $labels.model_version }})"
        return {
            "alert": self.name,
            "expr": self.expression,
            **wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": f"{namespace}/{service}: {self.summary}",
                "description": f"Revision {place}: {self.description}",
            },
        }


def pod_monitor(name: str, namespace: str, labels: Mapping[str, str]) -> Document:
    """Return a PodMonitor for the pods of a service, with the reasons for its fields."""
    manifest = {
        **_head("PodMonitor", name, namespace, labels),
        "spec": {
            "selector": {"matchLabels": {SERVICE_LABEL: name}},
            "podMetricsEndpoints": [
                {
                    "port": PORT_NAME,
                    "path": "/metrics",
                    "interval": f"{INTERVAL_SECONDS}s",
                    "relabelings": [
                        {"sourceLabels": [source], "targetLabel": label} for label, source in LABELS.items()
                    ],
                }
            ],
        },
    }
    endpoint: Path = ("spec", "podMetricsEndpoints", 0)
    reasons = {
        (*endpoint, "port"): "The server's port; Knative's queue-proxy has its own metrics at 9091.",
        (
            *endpoint,
            "interval",
        ): "A pod lives for at least a window and 30 s of draining: it is scraped before it ends.",
        (*endpoint, "relabelings"): "The alert rules select and group by these labels.",
    }
    return Document(manifest, reasons)


def prometheus_rule(name: str, namespace: str, labels: Mapping[str, str], thresholds: Thresholds) -> Document:
    """Return the alert rules of a service for the Prometheus operator, with the reasons for their thresholds."""
    spec, reasons = rules(name, namespace, thresholds)
    manifest = {**_head("PrometheusRule", name, namespace, labels), "spec": spec}
    return Document(manifest, {("spec", *path): reason for path, reason in reasons.items()})


def rules(name: str, namespace: str, thresholds: Thresholds) -> Document:
    """Return the alert rules of a service as a rules file of Prometheus, with the reasons for their thresholds."""
    alerts = [
        *_alerts_of_requests(_selector(name, namespace), thresholds.p99),
        *_alerts_of_pods(_selector(name, namespace), thresholds),
    ]
    group = {"name": f"snooze-{namespace}-{name}", "rules": [alert.as_rule(name, namespace) for alert in alerts]}
    reasons: dict[Path, str] = {
        ("groups", 0, "rules", index, "expr"): alert.reason for index, alert in enumerate(alerts)
    }
    return Document({"groups": [group]}, reasons)


def choose_thresholds(profile: Profile, size: Size, idle: float) -> Thresholds:
    """Return the thresholds for a service of this size that scales to zero after `idle` seconds without requests."""
    start = START_FACTOR * (SERVER_SECONDS + profile.session_seconds + profile.run[0].seconds)
    most = size.pods * 3600 / (idle + DRAIN_SECONDS)
    return Thresholds(
        p99=_choose_p99(size),
        cold_start=Threshold(
            math.ceil(start * 10) / 10,
            f"{START_FACTOR} times what is expected: {SERVER_SECONDS:g} s for the server, and the profile's time to "
            "load and run the model.",
        ),
        starts=Threshold(
            max(size.pods, math.ceil(most / 2)),
            f"Half of what {format_count(size.pods, 'pod')} can start in an hour, after an idle time of "
            f"{format_duration(idle)} and {DRAIN_SECONDS} s of draining:\n"
            "from there on a longer --window or a --min-scale costs little more than the starts.",
        ),
    )


def _choose_p99(size: Size) -> Threshold:
    if size.p99_seconds is not None:
        return Threshold(size.p99_seconds, "The p99 that was asked for.")
    largest = size.deviations["p99_seconds"].largest
    return Threshold(
        float(f"{size.pod.p99_seconds / (1 - largest):.2g}"),
        f"No p99 was given: the predicted one, {format_duration(size.pod.p99_seconds)}, with the largest error seen "
        f"({largest:.0%} of the measured one).",
    )


def _head(kind: str, name: str, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    own = {"app.kubernetes.io/managed-by": "snooze"}
    metadata = {"name": name, "namespace": namespace, "labels": {**own, **labels}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata}


def _selector(name: str, namespace: str) -> str:
    return f'namespace="{namespace}", service="{name}"'


def _alerts_of_requests(selector: str, p99: Threshold) -> list[Alert]:
    total = f"sum by ({BY}) (rate(snooze_requests_total{{{selector}}}[5m]))"
    refused = f'sum by ({BY}) (rate(snooze_refused_total{{{selector}, reason!="limit"}}[5m]))'
    failed = f'sum by ({BY}) (rate(snooze_requests_total{{{selector}, code=~"5..", code!~"503|504"}}[5m]))'
    share = "1 % of the requests, which a p99 leaves out as well."
    return [
        Alert(
            "SnoozeRefusedRequests",
            f"{refused} / {total} > {SHARE:g}",
            300,
            "warning",
            "requests are refused",
            "{{ $value | humanizePercentage }} of the requests were refused: overload, a deadline that passed, or a "
            "model that was still loading. See snooze_refused_total by reason; more pods (--max-scale) or CPU help.",
            f"{share} A body that is too large (reason limit) is the client's fault.",
        ),
        Alert(
            "SnoozeErrors",
            f"{failed} / {total} > {SHARE:g}",
            300,
            "critical",
            "requests fail in the server",
            "{{ $value | humanizePercentage }} of the requests were answered 5xx. The server's log has the reasons; "
            "snooze rollback returns to an earlier version.",
            f"{share} 503 and 504 are refused requests.",
        ),
        _alert_of_latency(selector, p99),
    ]


def _alert_of_latency(selector: str, p99: Threshold) -> Alert:
    """Return the alert of the p99, or of the mean where the histogram has no bounds as high as the threshold."""
    count = f"sum by ({BY}) (increase(snooze_request_seconds_count{{{selector}}}[15m]))"
    buckets = f"sum by ({BY}, le) (rate(snooze_request_seconds_bucket{{{selector}}}[15m]))"
    figure, time = "p99", f"histogram_quantile(0.99, {buckets})"
    reason = p99.reason
    if p99.value >= MAX_BUCKET_SECONDS:
        figure, time = "mean", f"sum by ({BY}) (increase(snooze_request_seconds_sum{{{selector}}}[15m])) / {count}"
        reason += f" The histogram ends at {MAX_BUCKET_SECONDS:g} s, so the mean is compared with it."
    return Alert(
        "SnoozeSlowRequests",
        f"({time} > {p99.value:.6g}) and {count} >= {MIN_REQUESTS}",
        300,
        "warning",
        "requests are slow",
        f"the {figure} in the server is {{{{ $value | humanizeDuration }}}}, expected at most "
        f"{format_duration(p99.value)}. snooze size and snooze bench load show what the model needs.",
        f"{reason}\nFewer than {MIN_REQUESTS} requests in 15 minutes have no p99.",
    )


def _alerts_of_pods(selector: str, thresholds: Thresholds) -> list[Alert]:
    cold = f'sum by ({BY}, pod) (last_over_time(snooze_cold_start_seconds{{{selector}, clock="wall"}}[30m]))'
    started = f"process_start_time_seconds{{{selector}}}"
    restarts = f"max_over_time({started}[1h]) - min_over_time({started}[1h]) > 5"
    return [
        Alert(
            "SnoozeSlowColdStarts",
            f"avg by ({BY}) ({cold}) > {thresholds.cold_start.value:.6g}",
            0,
            "warning",
            "cold starts are slow",
            "the server took {{ $value | humanizeDuration }} from its spawn until it was ready, on average of the pods "
            f"of the last 30 minutes; expected at most {thresholds.cold_start.value:.6g} s. "
            "See snooze_cold_start_seconds by phase; a CPU limit under one core stretches each phase.",
            thresholds.cold_start.reason,
        ),
        Alert(
            "SnoozeFrequentColdStarts",
            f"count by ({BY}) (last_over_time({started}[1h]) > time() - 3600) > {thresholds.starts.value:.6g}",
            0,
            "warning",
            "pods start often",
            "{{ $value }} pods started within an hour, and requests waited for them. "
            "A longer --window or a --min-scale avoids that.",
            thresholds.starts.reason,
        ),
        Alert(
            "SnoozeRestarts",
            f"count by ({BY}) ({restarts}) > 0",
            0,
            "critical",
            "the server was restarted",
            "the server was restarted in {{ $value }} of the pods within an hour: it crashed, ran out of memory, or "
            "did not answer its liveness probe. See kubectl describe pod, and kubectl logs --previous.",
            "A pod that ends takes its series with it; a restarted server continues them with a later start.\n"
            "5 s, because the start moves a little when the node's clock is set.",
        ),
    ]

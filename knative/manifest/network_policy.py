"""A NetworkPolicy that lets a service's pods be reached by Knative, its gateway and Prometheus only."""

from collections.abc import Sequence
from typing import Any, Final

from snooze.knative.kubectl import SERVICE_LABEL
from snooze.knative.manifest.document import Document, Path
from snooze.knative.manifest.service import PORT

KNATIVE: Final = "knative-serving"  # the namespace of activator and autoscaler
DNS: Final = "kube-system"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"  # set by Kubernetes on each namespace
REQUEST_PORTS: Final = (8012, 8013, 8112)  # queue-proxy: HTTP/1, HTTP/2 and TLS
STATISTICS_PORT: Final = 9090  # queue-proxy, for the autoscaler
METRICS_PORTS: Final = (PORT, 9091)  # the server's metrics, and queue-proxy's


def network_policy(name: str, namespace: str, gateways: Sequence[str], prometheus: Sequence[str]) -> Document:
    """
    Return the policy of a service, with the reasons for its rules.

    `gateways` and `prometheus` are the namespaces of the ingress gateway and of Prometheus.
    """
    ingress = [
        {"from": _namespaces(KNATIVE, *gateways), "ports": _ports("TCP", *REQUEST_PORTS)},
        {"from": _namespaces(KNATIVE), "ports": _ports("TCP", STATISTICS_PORT)},
    ]
    reasons = [
        "Requests, through Knative's queue-proxy: from the activator and the gateway.\n"
        "The node's probes and hooks (8012, 8022) need no rule: Kubernetes always lets the pod's own node in.",
        "Statistics for the autoscaler.",
    ]
    if prometheus:
        ingress.append({"from": _namespaces(*prometheus), "ports": _ports("TCP", *METRICS_PORTS)})
        reasons.append(
            f"Metrics. The port {PORT} is also that of predictions: Prometheus' namespace can ask for those."
        )
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "snooze"}},
        "spec": {
            "podSelector": {"matchLabels": {SERVICE_LABEL: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": [{"to": _namespaces(DNS), "ports": [*_ports("UDP", 53), *_ports("TCP", 53)]}],
        },
    }
    explained: dict[Path, str] = {("spec", "ingress", index): reason for index, reason in enumerate(reasons)}
    return Document(manifest, {**explained, ("spec", "egress"): "Names only: the server calls nobody."})


def _namespaces(*names: str) -> list[dict[str, Any]]:
    return [{"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: name}}} for name in names]


def _ports(protocol: str, *ports: int) -> list[dict[str, Any]]:
    return [{"protocol": protocol, "port": port} for port in ports]

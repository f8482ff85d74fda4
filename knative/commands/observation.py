"""The options of `snooze deploy` for what lies beside a Service: monitoring, alerts and a network policy."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from snooze.knative.manifest.names import DNS_1123_LABEL

if TYPE_CHECKING:
    from snooze.bundle.contract import Bundle
    from snooze.knative.manifest.document import Document
    from snooze.knative.manifest.monitoring import Thresholds
    from snooze.knative.rollout.deployment import Deployment

NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"  # of a label, and its value
LABEL: Final = re.compile(rf"((?:[a-z0-9][-a-z0-9.]{{0,251}}/)?{NAME})=((?:{NAME})?)")


def add_observation(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("monitoring and network")
    monitor = "add a PodMonitor, by which the Prometheus operator scrapes the pods"
    group.add_argument("--monitor", action="store_true", help=monitor)
    alerts = "add a PrometheusRule: refused, failed and slow requests, cold starts, restarts"
    group.add_argument("--alerts", action="store_true", help=alerts)
    label = "label of both, as the operator may select by (release=NAME of its Helm chart); may be repeated"
    group.add_argument("--monitor-label", action="append", type=_label, default=[], metavar="NAME=VALUE", help=label)
    rules = "also write the alert rules to a file, for a Prometheus without operator"
    group.add_argument("--rules", type=Path, metavar="FILE", help=rules)
    policy = "add a NetworkPolicy: only Knative, the gateway and Prometheus reach the pods, which reach DNS only"
    group.add_argument("--network-policy", action="store_true", help=policy)
    for who, default in (("gateway", "kourier-system"), ("prometheus", "monitoring")):
        spaces = f"namespaces of the {who} in the NetworkPolicy, with commas between them ({default})"
        group.add_argument(f"--{who}-namespace", type=_namespaces, default=default, metavar="NAME,...", help=spaces)


def observe(bundle: "Bundle", deployment: "Deployment", options: argparse.Namespace) -> "Sequence[Document]":
    """Return the objects beside the Service that the options ask for."""
    from snooze.knative.manifest.monitoring import pod_monitor, prometheus_rule
    from snooze.knative.manifest.network_policy import network_policy

    name, namespace, labels = deployment.name, options.namespace, dict(options.monitor_label)
    documents = []
    if options.network_policy:
        documents.append(network_policy(name, namespace, options.gateway_namespace, options.prometheus_namespace))
    if options.monitor:
        documents.append(pod_monitor(name, namespace, labels))
    if options.alerts:
        documents.append(prometheus_rule(name, namespace, labels, _thresholds(bundle, deployment, options)))
    return documents


def write_rules(bundle: "Bundle", deployment: "Deployment", options: argparse.Namespace) -> None:
    """Write the alert rules to the file of `--rules`. Raises NotWritable."""
    from snooze.knative.manifest import document
    from snooze.knative.manifest.monitoring import rules
    from snooze.knative.rollout.deployment import write_file

    found = rules(deployment.name, options.namespace, _thresholds(bundle, deployment, options))
    write_file(options.rules, document.write(*found), "--rules")


def _thresholds(bundle: "Bundle", deployment: "Deployment", options: argparse.Namespace) -> "Thresholds":
    from snooze.bundle.evidence import read_profile
    from snooze.knative.manifest.monitoring import choose_thresholds

    return choose_thresholds(read_profile(bundle), deployment.size, options.window + options.retention)


def _label(text: str) -> tuple[str, str]:
    """Return name and value of `NAME=VALUE`."""
    found = LABEL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a label such as release=prometheus, got {text!r}")
    return found[1], found[2]


def _namespaces(text: str) -> tuple[str, ...]:
    """Return the names of `a,b`; an empty text gives no names."""
    names = tuple(text.split(",")) if text else ()
    for name in names:
        if DNS_1123_LABEL.fullmatch(name) is None:
            raise argparse.ArgumentTypeError(f"expected names of namespaces with commas between them, got {text!r}")
    return names

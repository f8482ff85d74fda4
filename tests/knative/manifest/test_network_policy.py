from typing import Any

import yaml

from snooze.knative.manifest.document import write
from snooze.knative.manifest.network_policy import network_policy


def allowed(manifest: dict[str, Any]) -> set[tuple[str, int]]:
    """Return who may reach which port."""
    return {
        (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for rule in manifest["spec"]["ingress"]
        for peer in rule["from"]
        for port in rule["ports"]
    }


def test_knative_the_gateway_and_prometheus_reach_their_ports_and_nobody_else() -> None:
    manifest, _ = network_policy("tumour", "models", ["kourier-system"], ["monitoring"])

    requests = {(who, port) for who in ("knative-serving", "kourier-system") for port in (8012, 8013, 8112)}
    assert allowed(manifest) == requests | {("knative-serving", 9090), ("monitoring", 8080), ("monitoring", 9091)}


def test_the_pods_reach_dns_only() -> None:
    spec = network_policy("tumour", "models", ["kourier-system"], [])[0]["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["egress"]
    assert [(port["protocol"], port["port"]) for port in rule["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert len(rule["to"]) == 1


def test_without_prometheus_the_server_is_reached_through_knative_only() -> None:
    manifest, reasons = network_policy("tumour", "models", ["kourier-system"], [])

    assert 8080 not in {port for _, port in allowed(manifest)}
    assert yaml.safe_load(write(manifest, reasons)) == manifest


def test_the_policy_is_that_of_the_services_pods() -> None:
    manifest, _ = network_policy("tumour", "models", [], [])
    assert manifest["spec"]["podSelector"] == {"matchLabels": {"serving.knative.dev/service": "tumour"}}

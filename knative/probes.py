"""Probes: what Knative takes, and what makes a first request wait."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from snooze.knative.problems import Problem

HANDLERS: Final = ("httpGet", "tcpSocket", "exec", "grpc")
DEFAULT_PORT_NAME: Final = "http"  # what Knative takes an unnamed port for


def check_probes(container: Mapping[str, Any], port_name: str, path: str) -> Iterator[Problem]:
    """Yield what is wrong with the probes of the container that serves, whose port is called `port_name`."""
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            yield from _handler(probe, name == "readinessProbe", port_name, f"{path}.{name}")
    readiness = container.get("readinessProbe")
    if readiness is not None:
        yield from _readiness(readiness, f"{path}.readinessProbe")
        if readiness.get("exec") is not None:
            yield Problem(
                f"{path}.readinessProbe.exec",
                "only the kubelet can run it, in steps of a second",
                "use httpGet, which Knative asks every 50 ms",
                warning=True,
            )
    if container.get("startupProbe") is not None:
        yield Problem(
            f"{path}.startupProbe",
            "switches off the activator's shortcut: a first request waits for the kubelet's steps of a second",
            "remove it; a readinessProbe is enough",
            warning=True,
        )


def check_sidecar_probes(container: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield the probes of a container without a port, which needs a feature of the cluster."""
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(name):
            yield Problem(
                f"{path}.{name}",
                "probes of a container without a port need the cluster's feature multi-container-probing",
                "remove it, or turn the feature on and say --cluster-feature multi-container-probing",
            )


def _handler(probe: Mapping[str, Any], defaulted: bool, port_name: str, path: str) -> Iterator[Problem]:
    handlers = [name for name in HANDLERS if probe.get(name) is not None]
    if not handlers and defaulted:
        yield Problem(
            path,
            "says not what to ask, so Knative only tries whether the port accepts connections",
            "add httpGet, such as /readyz",
            warning=True,
        )
    elif len(handlers) != 1:
        found = f"found {' and '.join(handlers)}" if handlers else "found none"
        yield Problem(path, f"needs exactly one of {', '.join(HANDLERS)}, {found}", "keep or add one")
    for name in ("httpGet", "tcpSocket"):
        port = (probe.get(name) or {}).get("port")
        if isinstance(port, str) and port not in ("", port_name):
            yield Problem(
                f"{path}.{name}.port",
                f"{port!r} is not the name of the container's port, which is {port_name!r}",
                "leave the port out",
            )


def _readiness(probe: Mapping[str, Any], path: str) -> Iterator[Problem]:
    period = probe.get("periodSeconds") or 0
    for name in ("periodSeconds", "initialDelaySeconds"):
        if (probe.get(name) or 0) < 0:
            yield Problem(f"{path}.{name}", f"expected 0 or more, got {probe[name]}", "raise or remove it")
    if (probe.get("successThreshold") or 1) < 1:
        yield Problem(f"{path}.successThreshold", "expected 1 or more", "raise or remove it")
    for name in ("failureThreshold", "timeoutSeconds"):
        value = probe.get(name)
        if period == 0 and value:
            yield Problem(
                f"{path}.{name}", "is refused where periodSeconds is absent or 0", "remove it, or give periodSeconds"
            )
        elif period and value is not None and value < 1 and value != 0:
            yield Problem(f"{path}.{name}", f"expected 1 or more, got {value}", "raise or remove it")
    if period > 0:
        yield Problem(
            f"{path}.periodSeconds",
            "makes Knative ask only when it is asked itself, instead of every 50 ms",
            "remove it, and a pod is ready earlier",
            warning=True,
        )

"""
The `kn` commands for a manifest: one that carries all of it, and one in flags that a person can read.

Not every field has a flag; `left_out` names those that the flags cannot carry. `kn ... --target FILE` writes what the
flags mean without a cluster, and `tests/knative/test_kn.py` compares that with the manifest.
"""

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from snooze.knative.annotations import AUTOSCALING
from snooze.knative.errors import KnFailed, MissingProgram

STANDARD_ERROR: Final = 2
WAIT_SECONDS: Final = 600  # Knative's progress deadline: after it, a revision has failed
CONTAINER: Final = "spec.template.spec.containers[0]"

# Annotations that have a flag of their own; the flag takes whole numbers only.
SCALE_FLAGS: Final = {
    "activation-scale": "--scale-activation",
    "initial-scale": "--scale-init",
    "max-scale": "--scale-max",
    "metric": "--scale-metric",
    "min-scale": "--scale-min",
    "target": "--scale-target",
    "target-utilization-percentage": "--scale-utilization",
    "window": "--scale-window",
}
STRICT: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
VISIBILITY: Final = "networking.knative.dev/visibility"


def apply_command(manifest: Mapping[str, Any], file: str) -> list[str]:
    """Return the command that applies the manifest as it stands in `file`. Running it twice changes nothing."""
    metadata = manifest["metadata"]
    return [
        *("kn", "service", "apply", metadata["name"]),
        *("--filename", file),
        *("--namespace", metadata["namespace"]),
        *("--wait-timeout", str(WAIT_SECONDS)),
    ]


def create_command(manifest: Mapping[str, Any]) -> list[str]:
    """Return the command that creates the service from flags, in the order of their names."""
    flags = sorted(_flags(manifest))
    command = ["kn", "service", "create", manifest["metadata"]["name"]]
    return command + [part for flag in flags for part in flag if part]


def text(command: Sequence[str]) -> str:
    """Return a command as a shell reads it, one flag a line."""
    lines: list[str] = []
    for part in command:
        if part.startswith("--"):
            lines.append(f"  {part}")
        elif lines and lines[-1].startswith("  "):
            lines[-1] += f" {shlex.quote(part)}"
        elif lines:
            lines[0] += f" {shlex.quote(part)}"
        else:
            lines.append(shlex.quote(part))
    return " \\\n".join(lines)


def left_out(manifest: Mapping[str, Any]) -> list[str]:
    """Return the fields that the flags cannot carry, as `place: value`."""
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    security = container.get("securityContext", {})
    fields = [
        *((f"spec.template.spec.{name}", pod) for name in ("automountServiceAccountToken", "enableServiceLinks")),
        *((f"spec.template.spec.{name}", pod) for name in ("idleTimeoutSeconds", "responseStartTimeoutSeconds")),
        (f"{CONTAINER}.startupProbe", container),
        *((f"{CONTAINER}.securityContext.{name}", security) for name in ("readOnlyRootFilesystem", "runAsGroup")),
    ]
    found = ((path, holder.get(path.rsplit(".", 1)[1])) for path, holder in fields)
    return [f"{path}: {_yaml(value)}" for path, value in found if value is not None]


def run(command: Sequence[str]) -> None:
    """
    Run `kn`; what it tells of its progress goes to standard error.

    Raises:
        KnFailed: it ended with an error.
        MissingProgram: it is not on the PATH.
    """
    try:
        done = subprocess.run(command, stdout=STANDARD_ERROR, stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise MissingProgram(command[0]) from None
    if done.returncode != 0:
        raise KnFailed(done.returncode, " ".join(done.stderr.split()) or "no message")


def _flags(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metadata, template = manifest["metadata"], manifest["spec"]["template"]
    yield "--namespace", metadata["namespace"]
    yield "--wait-timeout", str(WAIT_SECONDS)
    for kind in ("annotation", "label"):
        on_service = metadata.get(f"{kind}s", {}).items()
        on_revision = template["metadata"].get(f"{kind}s", {}).items()
        yield from (_both(kind, *entry) for entry in on_service & on_revision)
        yield from (_on_service(kind, *entry) for entry in on_service - on_revision)
        yield from (_on_revision(kind, *entry) for entry in on_revision - on_service)
    yield from _pod_flags(template["spec"])


def _both(kind: str, name: str, value: str) -> tuple[str, str]:
    return f"--{kind}", f"{name}={value}"


def _on_service(kind: str, name: str, value: str) -> tuple[str, str]:
    if (name, value) == (VISIBILITY, "cluster-local"):
        return "--cluster-local", ""
    return f"--{kind}-service", f"{name}={value}"


def _on_revision(kind: str, name: str, value: str) -> tuple[str, str]:
    flag = SCALE_FLAGS.get(name.removeprefix(AUTOSCALING)) if name.startswith(AUTOSCALING) else None
    if flag and (value.isdigit() or flag in ("--scale-metric", "--scale-window")):
        return flag, value
    return f"--{kind}-revision", f"{name}={value}"


def _pod_flags(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    container = pod["containers"][0]
    yield "--concurrency-limit", str(pod["containerConcurrency"])
    yield "--timeout", str(pod["timeoutSeconds"])
    yield "--image", container["image"]
    for variable in container.get("env", []):
        yield "--env", f"{variable['name']}={variable['value']}"
    for port in container.get("ports", []):
        yield "--port", str(port["containerPort"])
    for bound, flag in (("requests", "--request"), ("limits", "--limit")):
        quantities = container.get("resources", {}).get(bound, {})
        yield flag, ",".join(f"{name}={quantity}" for name, quantity in sorted(quantities.items()))
    probe = container["readinessProbe"]["httpGet"]
    yield "--probe-readiness", f"http:::{probe['path']}"
    for volume in pod.get("volumes", []):
        yield "--volume", f"{volume['name']}=emptyDir:{volume['name']}"
    for mount in container.get("volumeMounts", []):
        yield "--mount", f"{mount['mountPath']}={mount['name']}"
    security = container["securityContext"]
    if all(security.get(name) == value for name, value in STRICT.items()):
        yield "--security-context", "strict"
    yield "--user", str(security["runAsUser"])


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

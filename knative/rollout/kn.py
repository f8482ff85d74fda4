"""
The `kn` commands for a manifest: one that applies the file, and one in flags that people can read.

`left_out` lists the fields that have no flag. `kn ... --target FILE` writes what flags mean without a cluster;
`tests/knative/rollout/test_kn.py` compares that with the manifest.
"""

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from snooze.knative.errors import KnFailed, MissingProgram
from snooze.knative.manifest.service import AUTOSCALING

STANDARD_ERROR: Final = 2
WAIT_SECONDS: Final = 600  # Knative's progress deadline: after it, a revision has failed
SCALE_FLAGS: Final = {
    "max-scale": "--scale-max",
    "metric": "--scale-metric",
    "min-scale": "--scale-min",
    "target": "--scale-target",
    "window": "--scale-window",
}
VISIBILITY: Final = "networking.knative.dev/visibility"


def apply_command(manifest: Mapping[str, Any], file: str) -> list[str]:
    """Return the command that applies the manifest in `file`; running it again changes nothing."""
    metadata = manifest["metadata"]
    return [
        *("kn", "service", "apply", metadata["name"]),
        *("--filename", file),
        *("--namespace", metadata["namespace"]),
        *("--wait-timeout", str(WAIT_SECONDS)),
    ]


def create_command(manifest: Mapping[str, Any]) -> list[str]:
    """Return the command that creates the service from flags, sorted by name."""
    command = ["kn", "service", "create", manifest["metadata"]["name"]]
    return command + [part for flag in sorted(_flags(manifest)) for part in flag if part]


def format_command(command: Sequence[str]) -> str:
    """Return a command as text for a shell, one flag per line."""
    text = ""
    for part in command:
        text += f" \\\n  {part}" if part.startswith("--") else f" {shlex.quote(part)}"
    return text.lstrip()


def left_out(manifest: Mapping[str, Any]) -> list[str]:
    """Return the fields that the flags cannot carry, as `path: value`."""
    pod = manifest["spec"]["template"]["spec"]
    root = str(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]).lower()
    return [
        f"spec.template.spec.automountServiceAccountToken: {str(pod['automountServiceAccountToken']).lower()}",
        f"spec.template.spec.enableServiceLinks: {str(pod['enableServiceLinks']).lower()}",
        f"spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: {root}",
    ]


def run(command: Sequence[str]) -> None:
    """
    Run `kn`, with its progress on standard error.

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
        on_service = metadata[f"{kind}s"]
        on_revision = template["metadata"][f"{kind}s"]
        for name, value in (on_service | on_revision).items():
            yield _metadata_flag(kind, name, value, both=name in on_service and name in on_revision)
    yield from _pod_flags(template["spec"])


def _metadata_flag(kind: str, name: str, value: str, both: bool) -> tuple[str, str]:
    if both:
        return f"--{kind}", f"{name}={value}"
    if name == VISIBILITY:
        return "--cluster-local", ""
    flag = SCALE_FLAGS.get(name.removeprefix(AUTOSCALING))
    return (flag, value) if flag else (f"--{kind}-revision", f"{name}={value}")


def _pod_flags(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    container = pod["containers"][0]
    yield "--concurrency-limit", str(pod["containerConcurrency"])
    yield "--timeout", str(pod["timeoutSeconds"])
    yield "--image", container["image"]
    for variable in container["env"]:
        yield "--env", f"{variable['name']}={variable['value']}"
    for port in container["ports"]:
        yield "--port", str(port["containerPort"])
    for bound, flag in (("requests", "--request"), ("limits", "--limit")):
        yield flag, ",".join(f"{name}={quantity}" for name, quantity in container["resources"][bound].items())
    yield "--probe-readiness", f"http:::{container['readinessProbe']['httpGet']['path']}"
    for volume in pod.get("volumes", []):
        yield "--volume", f"{volume['name']}=emptyDir:{volume['name']}"
    for mount in container.get("volumeMounts", []):
        yield "--mount", f"{mount['mountPath']}={mount['name']}"
    yield "--security-context", "strict"
    if "runAsUser" in container["securityContext"]:
        yield "--user", str(container["securityContext"]["runAsUser"])

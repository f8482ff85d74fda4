"""
The commands for a manifest, for people: one that applies the file, and one of `kn` in flags that they can read.

`left_out` lists the fields that have no flag. `kn ... --target FILE` writes what flags mean without a cluster;
`tests/knative/rollout/test_kn.py` compares that with the manifest.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from snooze.knative.manifest.service import AUTOSCALING

WAIT_SECONDS: Final = 600  # Knative's progress deadline: after it, a revision has failed
SCALE_FLAGS: Final = {
    "max-scale": "--scale-max",
    "metric": "--scale-metric",
    "min-scale": "--scale-min",
    "target": "--scale-target",
    "window": "--scale-window",
}
VISIBILITY: Final = "networking.knative.dev/visibility"


def apply_command(file: str) -> list[str]:
    """
    Return the command that applies the manifest in `file`; running it again changes nothing.

    It is not one of `kn`, which leaves out the container's name: Knative then refuses the second time.
    """
    return ["kubectl", "apply", "--filename", file]


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
    # `kn service create` has a flag for the latest revision only, and for one pull secret.
    traffic = manifest["spec"]["traffic"][0]
    secrets = [
        f"spec.template.spec.imagePullSecrets[{index}].name: {secret['name']}"
        for index, secret in enumerate(pod.get("imagePullSecrets", []))
        if index
    ]
    return [
        f"spec.traffic[0].revisionName: {traffic['revisionName']}",
        f"spec.traffic[0].latestRevision: {str(traffic['latestRevision']).lower()}",
        f"spec.template.spec.containers[0].name: {pod['containers'][0]['name']}",
        f"spec.template.spec.automountServiceAccountToken: {str(pod['automountServiceAccountToken']).lower()}",
        f"spec.template.spec.enableServiceLinks: {str(pod['enableServiceLinks']).lower()}",
        f"spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: {root}",
        *secrets,
    ]


def _flags(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metadata, template = manifest["metadata"], manifest["spec"]["template"]
    yield "--namespace", metadata["namespace"]
    yield "--wait-timeout", str(WAIT_SECONDS)
    yield "--revision-name", template["metadata"]["name"]
    yield "--tag", f"@latest={manifest['spec']['traffic'][0]['tag']}"
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
    for kind in ("readiness", "liveness"):
        probe = dict(container[f"{kind}Probe"])
        yield f"--probe-{kind}", f"http:::{probe.pop('httpGet')['path']}"
        yield f"--probe-{kind}-opts", ",".join(f"{name}={value}" for name, value in probe.items())
    for secret in pod.get("imagePullSecrets", [])[:1]:
        yield "--pull-secret", secret["name"]
    if "serviceAccountName" in pod:
        yield "--service-account", pod["serviceAccountName"]
    for volume in pod.get("volumes", []):
        yield "--volume", f"{volume['name']}=emptyDir:{volume['name']}"
    for mount in container.get("volumeMounts", []):
        yield "--mount", f"{mount['mountPath']}={mount['name']}"
    yield "--security-context", "strict"
    if "runAsUser" in container["securityContext"]:
        yield "--user", str(container["securityContext"]["runAsUser"])

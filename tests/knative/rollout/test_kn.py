"""The printed commands compared with what the real `kn` makes of them; `kn --target` needs no cluster."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of
from tests.knative.quantities import parse_quantity

from snooze.knative.manifest.options import Options
from snooze.knative.manifest.service import build
from snooze.knative.rollout import kn

DIGEST = "sha256:" + "12e4" * 16
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (a_bundle(), {}),
    "private, with settings": (
        a_bundle(),
        {"private": True, "environment": {"SNOOZE_LOG": "json", "A": "it's = $HOME"}},
    ),
    "slow, few slots": (a_bundle((1, 0.05)), {"min_scale": 2, "max_scale": 9, "window": 6.0, "timeout": 90.0}),
    "no user, a volume": (a_bundle(), {"user": None, "scratch": True}),
    "secrets, an account, retention": (
        a_bundle(),
        {"pull_secret": ("a", "b.c"), "service_account": "models", "retention": 90.0, "cpu_request": "0.5"},
    ),
}


def a_manifest(case: str) -> dict[str, Any]:
    bundle, changes = CASES[case]
    options = Options(**{"image": "registry.example.com/tumour:3", "name": "tumour", "namespace": "models", **changes})
    return build(bundle, DIGEST, size_of(bundle, 50, 0.16), options)


@pytest.fixture(scope="session")
def program() -> str:
    built = Path.home() / ".cache/snooze-cluster/bin/kn"
    found = os.environ.get("SNOOZE_KN") or shutil.which("kn") or (str(built) if built.exists() else None)
    if found is None:
        pytest.skip("kn is not installed; set SNOOZE_KN to its path, or put it on the PATH")
    return found


@pytest.fixture(params=sorted(CASES))
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    return a_manifest(request.param)


@pytest.mark.process
def test_the_flags_mean_what_the_manifest_contains_except_what_is_listed(
    manifest: dict[str, Any], program: str, tmp_path: Path
) -> None:
    target = tmp_path / "written.yaml"
    command = [program, *kn.create_command(manifest)[1:], "--target", str(target)]
    subprocess.run(command, check=True, capture_output=True, env={"KUBECONFIG": "/dev/null", "HOME": str(tmp_path)})

    assert normal(without(yaml.safe_load(target.read_text()), [])) == normal(without(manifest, kn.left_out(manifest)))


def without(manifest: dict[str, Any], left_out: list[str]) -> dict[str, Any]:
    """Remove the fields that flags cannot carry, and what `kn` adds: timestamps and empty name, port and status."""
    template = manifest["spec"]["template"]
    container = template["spec"]["containers"][0]
    for path in left_out:
        *parents, name = re.findall(r"[a-zA-Z]+|\d+", path.split(":")[0])
        node: Any = manifest
        for part in parents:
            node = node[int(part) if part.isdigit() else part]
        del node[name]
    for name in ("client.knative.dev/updateTimestamp", "client.knative.dev/user-image"):
        template["metadata"]["annotations"].pop(name, None)
    container.pop("name", None)
    for probe in (container["readinessProbe"], container["livenessProbe"]):
        probe["httpGet"].pop("port", None)
    for target in manifest["spec"]["traffic"]:
        target.pop("latestRevision", None)
    secrets = template["spec"].get("imagePullSecrets", [])
    secrets[:] = [secret for secret in secrets if secret]
    manifest.pop("status", None)
    return manifest


def normal(manifest: dict[str, Any]) -> dict[str, Any]:
    """Replace quantities by numbers and sort the variables: `1024Mi` and `1Gi` are the same."""
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    for bound in container["resources"].values():
        for name, quantity in bound.items():
            bound[name] = parse_quantity(quantity)
    container["env"] = sorted(container.get("env", []), key=lambda variable: str(variable["name"]))
    return manifest


def test_lists_the_fields_without_a_flag() -> None:
    revision = a_manifest("plain")["spec"]["template"]["metadata"]["name"]
    assert kn.left_out(a_manifest("plain")) == [
        f"spec.traffic[0].revisionName: {revision}",
        "spec.traffic[0].latestRevision: false",
        "spec.template.spec.containers[0].name: user-container",
        "spec.template.spec.automountServiceAccountToken: false",
        "spec.template.spec.enableServiceLinks: false",
        "spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: true",
    ]
    assert kn.left_out(a_manifest("secrets, an account, retention"))[-1] == (
        "spec.template.spec.imagePullSecrets[1].name: b.c"
    )


def test_flags_are_sorted_one_per_line_and_quoted_for_a_shell(manifest: dict[str, Any]) -> None:
    command = kn.create_command(manifest)
    text = kn.format_command(command)

    lines = [line.removesuffix(" \\") for line in text.splitlines()]
    assert lines[0] == "kn service create tumour"
    assert lines[1:] == sorted(lines[1:], key=lambda line: line.split()[0])
    assert "  --namespace models" in lines
    assert shlex.split(text.replace("\\\n", "")) == command


def test_the_apply_command_names_the_file() -> None:
    assert kn.format_command(kn.apply_command("my service.yaml")) == "kubectl apply \\\n  --filename 'my service.yaml'"

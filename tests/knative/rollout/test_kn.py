"""The printed commands compared with what the real `kn` makes of them; `kn --target` needs no cluster."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of
from tests.knative.quantities import parse_quantity

from snooze.knative.errors import KnFailed, MissingProgram
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
        *parents, name = path.split(":")[0].replace("[0]", "").split(".")
        node: Any = manifest
        for part in parents:
            node = node[part]
            node = node[0] if isinstance(node, list) else node
        del node[name]
    for name in ("client.knative.dev/updateTimestamp", "client.knative.dev/user-image"):
        template["metadata"]["annotations"].pop(name, None)
    container.pop("name", None)
    container["readinessProbe"]["httpGet"].pop("port", None)
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
    assert kn.left_out(a_manifest("plain")) == [
        "spec.template.spec.automountServiceAccountToken: false",
        "spec.template.spec.enableServiceLinks: false",
        "spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: true",
    ]


def test_flags_are_sorted_one_per_line_and_quoted_for_a_shell(manifest: dict[str, Any]) -> None:
    command = kn.create_command(manifest)
    text = kn.format_command(command)

    lines = [line.removesuffix(" \\") for line in text.splitlines()]
    assert lines[0] == "kn service create tumour"
    assert lines[1:] == sorted(lines[1:], key=lambda line: line.split()[0])
    assert "  --namespace models" in lines
    assert shlex.split(text.replace("\\\n", "")) == command


def test_the_apply_command_names_the_file() -> None:
    assert kn.format_command(kn.apply_command(a_manifest("plain"), "my service.yaml")) == (
        "kn service apply tumour \\\n  --filename 'my service.yaml' \\\n  --namespace models \\\n  --wait-timeout 600"
    )


@pytest.mark.process
def test_kn_accepts_the_apply_command(program: str, tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(a_manifest("plain")))
    target = tmp_path / "written.yaml"
    _, service, _, *rest = kn.apply_command(a_manifest("plain"), str(file))
    # `kn service create` reads a file too, and unlike `apply` it can write to a target.
    subprocess.run(
        [program, service, "create", *rest, "--target", str(target)],
        check=True,
        capture_output=True,
        env={"KUBECONFIG": "/dev/null", "HOME": str(tmp_path)},
    )

    assert without(yaml.safe_load(target.read_text()), []) == without(a_manifest("plain"), [])


@pytest.mark.process
def test_reports_that_kn_is_missing() -> None:
    with pytest.raises(MissingProgram) as caught:
        kn.run(["kn-that-is-not-there", "service"])

    assert caught.value.program == "kn-that-is-not-there"


@pytest.mark.process
def test_reports_the_error_of_kn() -> None:
    script = "import sys; print('progress'); print('Error: no\\nsuch host', file=sys.stderr); sys.exit(1)"

    with pytest.raises(KnFailed) as caught:
        kn.run([sys.executable, "-c", script])

    assert (caught.value.status, caught.value.message, caught.value.exit_code) == (1, "Error: no such host", 1)

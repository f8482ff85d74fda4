import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.knative.kubectl_double import Kubectl

from snooze.cli import main
from snooze.knative.kubectl import SERVICE
from snooze.knative.rollout import readiness
from snooze.knative.rollout.readiness import State

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour:3"
DIGEST = "sha256:" + "12e4" * 16


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "size"), [("1048576", 1048576), ("64KiB", 65536), ("64kib", 65536), ("4Mi", 4194304), ("1M", 1_000_000)]
)
def test_sizes_are_decimal_or_binary(text: str, size: int, on_disk: Make) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--max-body", text]) == 0

    container = yaml.safe_load(Path("tumour.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "SNOOZE_MAX_BODY", "value": str(size)}]


def test_deploy_writes_a_manifest_and_prints_the_commands(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = on_disk()
    assert main(["deploy", str(bundle.parent), "--image", IMAGE, "--rps", "50", "--namespace", "models"]) == 0

    manifest = yaml.safe_load(Path("tumour.yaml").read_text())
    output = capsys.readouterr()
    assert manifest["metadata"]["annotations"]["snooze/bundle"] == (
        "sha256:" + hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    )
    assert "manifest written to tumour.yaml" in output.out
    assert "kubectl apply \\\n  --filename tumour.yaml" in output.out
    assert "kn service create tumour \\\n" in output.out
    assert "# without a flag: spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem" in output.out
    assert output.err.startswith(f"warning: --image: {IMAGE} has no digest: ")


def test_deploys_the_newest_version(on_disk: Make) -> None:
    on_disk()
    second = on_disk()

    assert main(["deploy", str(second.parent), "--image", IMAGE]) == 0
    assert yaml.safe_load(Path("tumour.yaml").read_text())["metadata"]["annotations"]["snooze/version"] == "2"


def test_every_option_reaches_the_manifest(on_disk: Make) -> None:
    given = ["--name", "t", "--namespace", "models", "--min-scale", "2", "--max-scale", "9", "--window", "2min"]
    given += ["--timeout", "90", "--private", "--env", "SNOOZE_LOG=json", "--user", "none", "--scratch"]
    given += ["--retention", "5m", "--pull-secret", "a", "--pull-secret", "b", "--service-account", "models"]
    given += ["--cpu-request", "125m", "--cpu-limit", "2", "--memory-request", "100M", "--memory-limit", "1Gi"]
    given += ["--concurrency", "8", "--target", "7", "--burst-capacity", "50", "--start-timeout", "2m"]

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "a.yaml", *given]) == 0
    manifest = yaml.safe_load(Path("a.yaml").read_text())
    template = manifest["spec"]["template"]
    annotations, pod = template["metadata"]["annotations"], template["spec"]
    assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == ("t", "models")
    assert manifest["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"
    assert [annotations[f"autoscaling.knative.dev/{name}"] for name in ("min-scale", "max-scale", "window")] == [
        "2",
        "9",
        "120s",
    ]
    assert pod["timeoutSeconds"] == 90
    assert {"name": "SNOOZE_LOG", "value": "json"} in pod["containers"][0]["env"]
    assert "runAsUser" not in pod["containers"][0]["securityContext"]
    assert pod["volumes"] == [{"name": "scratch", "emptyDir": {}}]
    assert annotations["autoscaling.knative.dev/scale-to-zero-pod-retention-period"] == "300s"
    assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    assert pod["serviceAccountName"] == "models"
    assert pod["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"},
        "requests": {"cpu": "125m", "memory": "100M"},
    }
    assert pod["containerConcurrency"] == 8
    assert annotations["autoscaling.knative.dev/target"] == "7"
    assert annotations["autoscaling.knative.dev/target-burst-capacity"] == "50"
    assert pod["containers"][0]["livenessProbe"]["initialDelaySeconds"] == 120


def test_deploy_prints_json_only(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "service.yaml", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["manifest"] == yaml.safe_load(Path("service.yaml").read_text())
    assert document["apply"] == ["kubectl", "apply", "--filename", "service.yaml"]
    assert document["file"] == "service.yaml"
    assert document["size"]["pods"] == 1


def test_the_manifest_can_go_to_standard_output(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "-"]) == 0

    assert yaml.safe_load(capsys.readouterr().out)["kind"] == "Service"
    assert not Path("tumour.yaml").exists()


def test_warnings_go_to_standard_error(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", "tumour:latest", "--json"]) == 0

    output = capsys.readouterr()
    assert len(json.loads(output.out)["warnings"]) == 1
    assert output.err.startswith("warning: --image: tumour:latest has no digest: ")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["--timeout", "30s"], 2),
        (["--image", "Tumour:3"], 2),
        (["--env", "PORT=80"], 2),
        (["--window", "1s"], 2),
        (["--min-scale", "3", "--max-scale", "2"], 2),
        (["--name", "Tumour"], 2),
        (["--rps", "nan"], 2),
        (["--cpu-request", "1G"], 2),
        (["--concurrency", "2", "--target", "3"], 2),
        (["--name", "a" * 51], 2),
        (["--p99", "1ms"], 1),
        (["--output", "no/such/folder.yaml"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_an_error_is_one_line_and_writes_nothing(
    given: list[str], code: int, on_disk: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = on_disk((1, 0.05))

    assert main(["deploy", str(bundle), "--image", IMAGE, *given]) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("snooze: ")
    assert output.err.count("\n") == 1
    assert [path.name for path in Path.cwd().iterdir()] == ["models"]


@pytest.mark.parametrize(
    "given", [["--user", "0"], ["--user", "root"], ["--p99", "1d"], ["--max-body", "0"]], ids=" ".join
)
def test_a_value_of_the_wrong_form_is_a_usage_error(given: list[str], on_disk: Make) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["deploy", str(on_disk()), "--image", IMAGE, *given])

    assert caught.value.code == 2


@pytest.mark.process
@pytest.mark.parametrize("output", ["service.yaml", "-"])
def test_apply_changes_the_cluster_and_waits(
    output: str, on_disk: Make, kubectl: Kubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "examine", lambda service, revision: State(True, "", False))

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--apply", "--output", output]) == 0
    created = kubectl.objects[f"{SERVICE}/tumour"]
    captured = capsys.readouterr()
    text = captured.out if output == "-" else Path(output).read_text()
    assert created["spec"] == yaml.safe_load(text)["spec"]
    assert f"{created['spec']['template']['metadata']['name']} is ready" in captured.err


@pytest.mark.process
def test_apply_prints_a_split_that_stays(
    on_disk: Make, kubectl: Kubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "examine", lambda service, revision: State(True, "", False))
    traffic = [
        {"revisionName": "tumour-v1-aaaaaa", "percent": 70, "tag": "v1-aaaaaa", "url": "http://v1-aaaaaa-tumour.test"},
        {"revisionName": "tumour-v2-bbbbbb", "percent": 30, "tag": "v2-bbbbbb", "url": "http://v2-bbbbbb-tumour.test"},
    ]
    metadata = {"name": "tumour", "resourceVersion": "7"}
    spec = {"template": {}, "traffic": traffic}
    kubectl.put(f"{SERVICE}/tumour", {"metadata": metadata, "spec": spec, "status": {"traffic": traffic}})

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--apply"]) == 0
    after = kubectl.objects[f"{SERVICE}/tumour"]["spec"]["traffic"]
    assert [target["percent"] for target in after] == [70, 30, 0]
    assert "requests are split, and stay so: tumour-v1-aaaaaa 70 %, tumour-v2-bbbbbb 30 %" in capsys.readouterr().err


@pytest.mark.process
def test_the_error_of_the_cluster_is_one_line(
    on_disk: Make, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["deploy", str(on_disk()), "--image", f"tumour@{DIGEST}", "--namespace", "forbidden", "--apply"]

    assert main(arguments) == 1
    assert capsys.readouterr().err == "snooze: kubectl: Error from server (Forbidden): you may not\n"


@pytest.mark.process
def test_pin_writes_the_digest(on_disk: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "skopeo"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {DIGEST}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--pin"]) == 0
    manifest = yaml.safe_load(Path("tumour.yaml").read_text())
    assert manifest["spec"]["template"]["spec"]["containers"][0]["image"] == f"{IMAGE}@{DIGEST}"


@pytest.mark.process
@pytest.mark.parametrize("command", ["size", "deploy"])
def test_help_has_examples_and_imports_nothing_heavy(command: str) -> None:
    script = (
        "import sys; from snooze.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: print([m for m in ('numpy', 'yaml', 'snooze.bundle.store') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert output.count(f"  snooze {command} ") >= 3
    assert output.rstrip().endswith("[]")

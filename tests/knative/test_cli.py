import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.knative.bundles import size_of

from snooze.bundle.store import read
from snooze.cli import main

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour:3"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_size_prints_each_figure_with_its_error(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = on_disk((1, 0.05))
    needed = size_of(read(bundle), 100, 0.2)

    assert main(["size", str(bundle), "--rps", "100", "--p99", "200ms"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("tumour version 1, measured on a CPU\n")
    assert "load         100 requests/s of 1 row, p99 <= 200 ms\n" in output
    assert f"pods         {needed.pods}, each for up to {needed.rps_per_pod:.4g} requests/s" in output
    assert f"concurrency  target {needed.target}, limit {needed.concurrency}\n" in output
    assert output.count("typical error") == 5


def test_size_prints_json_only(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(on_disk()), "--rps", "10", "--rows", "8", "--json"]) == 0

    output = capsys.readouterr()
    document = json.loads(output.out)
    assert (document["model"], document["version"], document["rows"], document["pods"]) == ("tumour", 1, 8, 1)
    assert output.err == ""


@pytest.mark.parametrize("p99", ["1", "1s", "1000ms"])
def test_a_bare_duration_is_in_seconds(p99: str, on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(on_disk()), "--rps", "10", "--p99", p99, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["p99_seconds"] == 1


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
    assert "kn service apply tumour \\\n  --filename tumour.yaml \\\n  --namespace models" in output.out
    assert "kn service create tumour \\\n" in output.out
    assert "# without a flag: spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem" in output.out
    assert output.err == ""


def test_deploys_the_newest_version(on_disk: Make) -> None:
    on_disk()
    second = on_disk()

    assert main(["deploy", str(second.parent), "--image", IMAGE]) == 0
    assert yaml.safe_load(Path("tumour.yaml").read_text())["metadata"]["annotations"]["snooze/version"] == "2"


def test_every_option_reaches_the_manifest(on_disk: Make) -> None:
    given = ["--name", "t", "--namespace", "models", "--min-scale", "2", "--max-scale", "9", "--window", "2min"]
    given += ["--timeout", "90", "--private", "--env", "SNOOZE_LOG=json", "--user", "none", "--scratch"]

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


def test_deploy_prints_json_only(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "service.yaml", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["manifest"] == yaml.safe_load(Path("service.yaml").read_text())
    assert document["apply"][:5] == ["kn", "service", "apply", "tumour", "--filename"]
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
    assert output.err.startswith("warning: --image: tumour:latest is pulled again at each cold start;")


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
def test_apply_passes_the_whole_manifest_to_kn(
    output: str, on_disk: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kn = tmp_path / "bin" / "kn"
    kn.parent.mkdir()
    kn.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncp "$5" {tmp_path}/seen.yaml\necho ready\n')
    kn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kn.parent}:{os.environ['PATH']}")

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--apply", "--output", output]) == 0
    assert (tmp_path / "called").read_text().startswith("service apply tumour --filename ")
    assert yaml.safe_load((tmp_path / "seen.yaml").read_text())["metadata"]["name"] == "tumour"


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

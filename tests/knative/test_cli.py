import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from snooze.bundle.store import read
from snooze.cli import main
from snooze.knative.cli import seconds
from snooze.knative.sizing import size
from snooze.knative.validation import validate

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour:3"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_size_shows_each_figure_with_its_error(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = on_disk((1, 0.05))
    needed = size(read(bundle), 100, 0.2)

    assert main(["size", str(bundle), "--rps", "100", "--p99", "200ms"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tumour version 1, measured on a CPU\n")
    assert "load         100 requests/s of 1 row, p99 <= 200 ms\n" in said
    assert f"pods         {needed.pods}, each for up to {needed.rps_per_pod:.4g} requests/s" in said
    assert f"concurrency  target {needed.target}, limit {needed.concurrency}\n" in said
    assert said.count("error") == 5


def test_size_speaks_json_and_nothing_else(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(on_disk()), "--rps", "10", "--rows", "8", "--json"]) == 0

    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["model"], document["version"], document["rows"], document["pods"]) == ("tumour", 1, 8, 1)
    assert said.err == ""


def test_deploy_writes_a_manifest_that_knative_takes_and_prints_the_commands(
    on_disk: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = on_disk()
    assert main(["deploy", str(bundle.parent), "--image", IMAGE, "--rps", "50", "--namespace", "models"]) == 0

    manifest = yaml.safe_load(Path("tumour.yaml").read_text())
    said = capsys.readouterr().out
    assert validate(manifest) == []
    assert manifest["metadata"]["annotations"]["snooze/bundle"] == (
        "sha256:" + hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    )
    assert "tumour.yaml: checked against the rules of Knative 1.23, 0 warnings" in said
    assert "kn service apply tumour \\\n  --filename tumour.yaml \\\n  --namespace models" in said
    assert "kn service create tumour \\\n" in said
    assert "# not in the flags: spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: true" in said


def test_the_newest_version_is_deployed(on_disk: Make) -> None:
    on_disk()
    second = on_disk()

    assert main(["deploy", str(second.parent), "--image", IMAGE]) == 0
    assert yaml.safe_load(Path("tumour.yaml").read_text())["metadata"]["annotations"]["snooze/version"] == "2"


def test_deploy_speaks_json_and_nothing_else(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "service.yaml", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["manifest"] == yaml.safe_load(Path("service.yaml").read_text())
    assert document["apply"][:5] == ["kn", "service", "apply", "tumour", "--filename"]
    assert document["file"] == "service.yaml"
    assert document["size"]["pods"] == 1


def test_the_manifest_can_go_to_standard_output(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--output", "-"]) == 0

    assert validate(yaml.safe_load(capsys.readouterr().out)) == []
    assert not Path("tumour.yaml").exists()


def test_warnings_go_to_standard_error(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(on_disk()), "--image", "tumour:latest", "--json"]) == 0

    said = capsys.readouterr()
    assert len(json.loads(said.out)["warnings"]) == 1
    assert said.err.startswith("warning: spec.template.spec.containers[0].image: is pulled again at each cold start;")


@pytest.mark.parametrize("time", ["nans", "infs", "-1s", "1e300h", "s", "5"])
def test_a_time_is_one_that_ends(time: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a time such as 20ms, 1s or 2m, got '{time}'"):
        seconds(time)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--timeout", "30s"], 2, "the manifest would be refused: spec.template.spec.timeoutSeconds: 30 s is also"),
        (
            ["--image", "Tumour:3"],
            2,
            "the manifest would be refused: spec.template.spec.containers[0].image: ",
        ),
        (
            ["--env", "PORT=80"],
            2,
            "the manifest would be refused: spec.template.spec.containers[0].env[0]",
        ),
        (["--env", "PORT"], 2, "--env: expected NAME=VALUE, got 'PORT'"),
        (["--env", "SNOOZE_MAX_BODY=9"], 2, "--env: SNOOZE_MAX_BODY goes with the memory limit; say --max-body"),
        (["--window", "1s"], 2, "the manifest would be refused: spec.template.metadata.annotations.autoscaling"),
        (["--window", "6500ms"], 2, "--window: expected whole seconds, got 6.5"),
        (
            ["--min-scale", "3", "--max-scale", "2"],
            2,
            "the manifest would be refused: spec.template.metadata.annotations",
        ),
        (["--min-scale", "-1"], 2, "the manifest would be refused: spec.template.metadata.annotations.autoscaling"),
        (["--name", "Tumour"], 2, "service name 'Tumour': must be lower case"),
        (["--namespace", "My Models"], 2, "--namespace: 'My Models' is no legal name"),
        (["--cluster-feature", "x"], 2, "--cluster-feature: there is no feature 'x'; known are: "),
        (["--rps", "nan"], 2, "--rps: expected a rate above 0 and up to 1e+09, got nan"),
        (["--p99", "1ms"], 1, "gate p99: 1 ms was asked for, but a single request alone takes 5"),
        (["--output", "no/such/folder.yaml"], 2, "cannot write no/such/folder.yaml: No such file or directory"),
        (["--output", "."], 2, "cannot write .: it is no file; - writes to standard output"),
        (["--output", "/dev/zero"], 2, "cannot write /dev/zero: it is no file; - writes to standard output"),
        (["--env", "A B=1"], 2, "--env: expected NAME=VALUE, got 'A B=1'"),
        (["--rps", "1e8", "--max-scale", "1"], 2, "--max-scale: 1e+08 requests/s need "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_says_in_one_line_why_not(
    options: list[str], code: int, message: str, on_disk: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path.cwd().iterdir())
    bundle = on_disk((1, 0.05))
    image = [] if "--image" in options else ["--image", IMAGE]

    assert main(["deploy", str(bundle), *image, *options]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"snooze: {message}")
    assert said.err.count("\n") == 1
    assert [path for path in sorted(Path.cwd().iterdir()) if path.name != "models"] == before


@pytest.mark.parametrize("text", [b"apiVersion: v1\n", b"\xff\xfe"])
def test_leaves_a_file_alone_that_it_did_not_write(
    text: bytes, on_disk: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tumour.yaml").write_bytes(text)

    assert main(["deploy", str(on_disk()), "--image", IMAGE]) == 2
    assert capsys.readouterr().err.startswith("snooze: cannot write tumour.yaml: it is there, and ")
    assert Path("tumour.yaml").read_bytes() == text


def test_writes_again_over_its_own_file(on_disk: Make) -> None:
    bundle = str(on_disk())

    assert main(["deploy", bundle, "--image", IMAGE]) == 0
    assert main(["deploy", bundle, "--image", IMAGE, "--min-scale", "1"]) == 0
    assert 'min-scale: "1"' in Path("tumour.yaml").read_text()
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["models", "tumour.yaml"]


@pytest.mark.parametrize("output", ["service.yaml", "-"])
def test_apply_hands_the_whole_manifest_to_kn(
    output: str, on_disk: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kn = tmp_path / "bin" / "kn"
    kn.parent.mkdir()
    kn.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncp "$5" {tmp_path}/seen.yaml\necho ready\n')
    kn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kn.parent}:{os.environ['PATH']}")

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--apply", "--output", output]) == 0
    assert (tmp_path / "called").read_text().startswith("service apply tumour --filename ")
    assert validate(yaml.safe_load((tmp_path / "seen.yaml").read_text())) == []


def test_apply_without_kn_says_what_to_do(
    on_disk: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--apply"]) == 2
    assert capsys.readouterr().err.startswith(
        "snooze: 'kn' is not on the PATH; install it, or apply the manifest with:"
    )


@pytest.mark.parametrize("command", ["size", "deploy"])
def test_help_teaches_by_examples_without_importing_anything_heavy(command: str) -> None:
    script = (
        "import sys; from snooze.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: print([m for m in ('numpy', 'yaml', 'snooze.bundle.store') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.count(f"  snooze {command} ") >= 3
    assert said.rstrip().endswith("[]")


@pytest.mark.parametrize("time", ["20", "ms", "-", "1d", "x1s"])
def test_a_time_needs_its_unit(time: str, on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["size", str(on_disk()), "--rps", "1", f"--p99={time}"])

    assert caught.value.code == 2
    assert f"expected a time such as 20ms, 1s or 2m, got {time!r}" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("1048576", "1048576"), ("64KiB", "65536"), ("4MiB", "4194304")])
def test_the_largest_body_is_told_to_the_server(text: str, size: str, on_disk: Make) -> None:
    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--max-body", text]) == 0

    container = yaml.safe_load(Path("tumour.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "SNOOZE_MAX_BODY", "value": size}]


@pytest.mark.parametrize("text", ["0", "-1MiB", "big", "1 apple"])
def test_a_size_is_a_number_of_bytes(text: str, on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["size", str(on_disk()), "--rps", "1", f"--max-body={text}"])

    assert f"expected a number of bytes such as 64KiB or 4MiB, got {text!r}" in capsys.readouterr().err

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.knative.bundles import a_bundle
from tests.knative.image.layouts import read_index, write_server

from snooze.bundle.draft import Draft
from snooze.bundle.samples import Sample, write_samples
from snooze.cli import main
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import read

Make = Callable[..., Path]
AMD64 = "linux/amd64"


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the layout `server` in the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_server(tmp_path / "server")


def add(*bundles: Path, tag: str = "oci:out:1", options: tuple[str, ...] = ("--no-verify",)) -> int:
    return main(["image", *map(str, bundles), "--server-image", "oci:server:1", "--tag", tag, *options])


def test_adds_a_model_and_prints_the_digest(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(on_disk()) == 0

    made = read(Layout(Path("out"), "1"), AMD64)
    output = capsys.readouterr()
    assert output.out == (
        f"oci:out:1: tumour version 1 in a layer of {made.layers[-1].size / 1024:.1f} KiB\n{made.digest}\n\n"
        "# copy it to a registry:\nskopeo copy --preserve-digests oci:out:1 docker://REGISTRY/NAME:TAG\n"
    )
    assert output.err == ""


def test_prints_json_only(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    bundles = [on_disk(), on_disk(name="digits")]
    capsys.readouterr()

    assert add(*bundles, options=("--no-verify", "--json")) == 0

    made = read(Layout(Path("out"), "1"), AMD64)
    assert json.loads(capsys.readouterr().out) == {
        "tag": "oci:out:1",
        "image": None,
        "digest": made.digest,
        "layer_bytes": made.layers[-1].size,
        "models": [{"name": "tumour", "version": 1}, {"name": "digits", "version": 1}],
    }


def test_takes_the_newest_version_of_a_model(on_disk: Make) -> None:
    on_disk()

    assert add(on_disk().parent) == 0

    models = json.loads(read(Layout(Path("out"), "1"), AMD64).labels["snooze.models"])
    assert [(one["name"], one["version"]) for one in models] == [("tumour", 2)]


def test_a_changed_file_is_refused_even_without_the_golden_samples(
    on_disk: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = on_disk()
    (bundle / "model.onnx").write_bytes(b"changed")

    assert add(bundle) == 2
    assert "model.onnx was changed after the bundle was written" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--server-image", "oci:server:1", "--tag", "oci:out:1"], "BUNDLE: expected at least one bundle"),
        (["BUNDLE", "--server-image", "oci:server:1", "--tag", "oci:out"], "--tag: expected a tag to write to"),
        (["BUNDLE", "--server-image", "server:1", "--tag", "oci:out:1"], "--server-image: expected a registry"),
        (["BUNDLE", "--server-image", "oci:server:2", "--tag", "oci:out:1"], "it has: 1"),
        (["BUNDLE", "--server-image", "oci:none:1", "--tag", "oci:out:1"], "none is not an OCI layout"),
        (
            ["BUNDLE", "--server-image", "oci:server:1", "--tag", "oci:out:1", "--platform", "linux/arm64"],
            "oci:server:1 cannot be used: it is made for linux/amd64",
        ),
        (
            ["BUNDLE", "--server-image", "oci:server:1", "--tag", "oci:out:1", "--extras", "text,image"],
            "--extras: has no effect with --server-image",
        ),
        (["BUNDLE", "--tag", "tumour:1", "--insecure"], "--insecure: is for --server-image"),
        (["BUNDLE", "--tag", "oci:out:1"], "--tag: an engine keeps the image in its own store"),
        (["BUNDLE", "--tag", "tumour:1", "--build-arg", "REVISION"], "--build-arg: expected NAME=VALUE"),
        (["BUNDLE", "BUNDLE", "--tag", "tumour:1"], "are both 'tumour' version 1"),
        (["BUNDLE", "--tag", "tumour:1"], "podman or buildah or docker is not on the PATH"),
    ],
)
def test_refuses_options(
    options: list[str], problem: str, on_disk: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    bundle = str(on_disk())

    assert main(["image", *(bundle if one == "BUNDLE" else one for one in options), "--no-verify"]) == 2
    assert problem in capsys.readouterr().err
    assert not Path("out").exists()


def test_refuses_extras_that_do_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["image", "--tag", "snooze:1", "--extras", "image,audio"])

    assert "expected image, text, or image,text, got 'image,audio'" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("wants_json", [False, True])
def test_builds_with_an_engine(
    wants_json: bool,
    on_disk: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "bin/podman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/calls\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    given = ["--extras", "text,image", "--base", "b:1", "--build-arg", "REVISION=12e4", "--engine-flag=--network=host"]
    bundle = on_disk()

    assert main(["image", str(bundle), "--tag", "tumour:1", "--no-verify", *given, *["--json"] * wants_json]) == 0

    calls = (tmp_path / "calls").read_text().splitlines()
    assert {
        "--tag=tumour:1",
        "--build-arg=EXTRAS=image text",
        "--build-arg=BASE=b:1",
        "--build-arg=REVISION=12e4",
        "--network=host",
    } < set(calls)
    output = capsys.readouterr().out
    if wants_json:
        assert json.loads(output) == {
            "tag": "tumour:1",
            "image": None,
            "digest": None,
            "engine": "podman",
            "models": [{"name": "tumour", "version": 1}],
        }
    else:
        assert output == "tumour:1: tumour version 1\n\n# push it:\npodman push tumour:1\n"


@pytest.fixture
def doubling(tmp_path: Path) -> Callable[[float], Path]:
    """Return a function that writes a bundle whose model multiplies by 2; its golden sample says another factor."""

    def make(factor: float) -> Path:
        tensor = onnx.helper.make_tensor_value_info
        shape = ["n", 2]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Add", ["features", "features"], ["probabilities"])],
            "graph",
            [tensor("features", onnx.TensorProto.FLOAT, shape)],
            [tensor("probabilities", onnx.TensorProto.FLOAT, shape)],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
        rows = np.ones((2, 2), np.float32)
        with Draft(tmp_path / "models", "doubling") as draft:
            (draft.folder / "model.onnx").write_bytes(model.SerializeToString())
            write_samples(draft.folder / "samples.npz", [Sample({"features": rows}, {"probabilities": factor * rows})])
            return draft.publish(a_bundle(name="doubling", columns=2))

    return make


@pytest.mark.process
def test_the_golden_samples_are_checked_before_anything_is_written(
    doubling: Callable[[float], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = doubling(2), doubling(3)

    assert add(right, options=()) == 0
    before = read_index(Path("out"))
    assert add(wrong, options=()) == 1

    assert "check failed: " in (error := capsys.readouterr().err)
    assert "output 'probabilities' differs from its golden value" in error
    assert read_index(Path("out")) == before


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(number: int, on_disk: Make, tmp_path: Path) -> None:
    """The command is interrupted while skopeo sends the image."""
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sending\nexec sleep 60\n")
    program.chmod(0o755)
    (tmp_path / "scratch").mkdir()
    environ = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "scratch")}
    command: list[Any] = [sys.executable, "-m", "snooze.cli", "image", on_disk(), "--no-verify"]
    command += ["--server-image", "oci:server:1", "--tag", "r.example.com/tumour:1"]

    with subprocess.Popen(command, env=environ) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "sending").exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        code = process.wait(60)

    assert code in (128 + number, -number)
    assert list((tmp_path / "scratch").iterdir()) == []

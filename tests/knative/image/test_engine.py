"""The command of an engine, by a small program on the PATH. Real builds: tests/knative/image/test_dockerfile.py."""

import json
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.knative.image.layouts import list_files

from snooze.bundle.store import latest, sha256
from snooze.knative.image import engine
from snooze.knative.image.errors import NoEngine, ProgramFailed

Make = Callable[..., Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the PATH one folder without an engine, and return the folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, script: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\nPATH={os.defpath}\n{script}\n")
    program.chmod(0o755)


def test_the_first_engine_on_the_path_is_taken(programs: Path) -> None:
    install(programs, "docker")
    assert engine.find(None) == "docker"
    install(programs, "podman")
    assert engine.find(None) == "podman"
    assert engine.find("docker") == "docker"


@pytest.mark.parametrize(
    ("name", "wanted"), [(None, "podman or buildah or docker is not"), ("buildah", "buildah is not")]
)
def test_says_what_to_do_without_an_engine(name: str | None, wanted: str, programs: Path) -> None:
    with pytest.raises(NoEngine) as caught:
        engine.find(name)

    assert str(caught.value).startswith(f"{wanted} on the PATH; install it, or give --server-image")


def test_the_context_is_what_the_image_needs_and_nothing_else(on_disk: Make, tmp_path: Path) -> None:
    bundle = on_disk()
    (bundle / "notes.txt").write_text("not a file of the bundle")
    (tmp_path / "context").mkdir()

    engine.stage([latest(bundle), latest(on_disk(name="digits"))], tmp_path / "context")

    staged = list_files(tmp_path / "context")
    models = [name for name in staged if name.startswith("models/tumour")]
    files = ("bundle.json", "model.onnx", "samples.npz")
    assert models == ["models/tumour", "models/tumour/1", *(f"models/tumour/1/{name}" for name in files)]
    assert {name.partition("/")[0] for name in staged} == {
        "Dockerfile",
        "LICENSE",
        "bundle",
        "service",
        "knative",
        "models",
    }
    assert {name.split("/")[1] for name in staged if name.startswith("knative/")} == {"image"}
    assert {"service/__main__.py", "bundle/store.py", "knative/image/image.txt", "models/digits/1/model.onnx"} < set(
        staged
    )
    assert not any("__pycache__" in name for name in staged)


def test_the_context_has_what_the_dockerfile_copies(tmp_path: Path) -> None:
    engine.stage([], tmp_path)

    copies = re.findall(r"^COPY (?!--)(.*) \S+$", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copies for source in line.split() if "MODELS" not in source]
    assert sources
    assert [source for source in sources if not list(tmp_path.glob(source))] == []


@pytest.mark.process
def test_builds_with_arguments_labels_and_flags(programs: Path, on_disk: Make, tmp_path: Path) -> None:
    install(
        programs, "podman", f'printf "%s\\n" "$@" > {tmp_path}/calls; ls "$(eval echo \\${{$#}})" >> {tmp_path}/calls'
    )
    found = latest(on_disk())

    engine.build("podman", [found], "tumour:1", {"BASE": "a b", "EXTRAS": "text"}, ["--network=host"])

    lines = (tmp_path / "calls").read_text().splitlines()
    context = Path(lines[-7])
    models = [{"name": "tumour", "version": 1, "bundle": sha256(found.folder / "bundle.json")}]
    assert lines == [
        "build",
        "--tag=tumour:1",
        f"--file={context}/Dockerfile",
        f"--build-arg=VERSION={version('snooze')}",
        "--build-arg=EXTRAS=text",
        "--build-arg=MODELS=models",
        "--build-arg=BASE=a b",
        f"--label=snooze.models={json.dumps(models, separators=(',', ':'))}",
        "--network=host",
        str(context),
        *["Dockerfile", "LICENSE", "bundle", "knative", "models", "service"],
    ]
    assert not context.exists()


@pytest.mark.process
def test_a_server_image_has_no_models(programs: Path, tmp_path: Path) -> None:
    install(programs, "docker", f'printf "%s\\n" "$@" > {tmp_path}/calls')

    engine.build("docker", [], "snooze:1", {})

    calls = (tmp_path / "calls").read_text()
    assert "--build-arg=EXTRAS=\n" in calls
    assert "MODELS" not in calls
    assert "label" not in calls


@pytest.mark.process
def test_the_output_of_a_failed_build_is_shown(
    programs: Path, on_disk: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    install(programs, "podman", "echo step 1; echo no such image >&2; exit 125")

    with pytest.raises(ProgramFailed, match="exit code 125; its output is above") as caught:
        engine.build("podman", [latest(on_disk())], "tumour:1", {})

    assert caught.value.program == "podman"
    assert capfd.readouterr() == ("", "step 1\nno such image\n")


@pytest.mark.process
def test_a_build_is_quiet_in_a_pipe(programs: Path, on_disk: Make, capfd: pytest.CaptureFixture[str]) -> None:
    install(programs, "podman", "echo step 1; echo warning >&2")

    engine.build("podman", [latest(on_disk())], "tumour:1", {})

    assert capfd.readouterr() == ("", "")

"""
Images, built by the command in SNOOZE_BUILD, such as `docker build`.

Where the registries of the Dockerfile cannot be reached, its options bring what replaces them:

    SNOOZE_BUILD="podman build --network host --build-arg BASE=localhost/python:3.13-slim" pytest tests/knative/image
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from tests.service.conftest import COLOURS, colours, publish_adapted

from snooze.knative.image import sample

ROOT = Path(__file__).parents[3]
COMMAND = os.environ.get("SNOOZE_BUILD", "")
TRAINING = ("sklearn", "skl2onnx", "onnx", "pandas", "snooze.convert", "pip", "numpy", "onnxruntime")
PICTURES = ("--build-arg", "EXTRAS=image")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not COMMAND, reason="no image is built: SNOOZE_BUILD is not set to a command that builds one"),
]

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return what a build needs, at a place where it can be damaged."""
    for name in ("bundle", "service", "knative"):
        shutil.copytree(ROOT / name, tmp_path / "context" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "context")
    return tmp_path / "context"


@pytest.fixture
def build(context: Path) -> Build:
    return lambda *options: run_build(*options, str(context))


def run_build(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shlex.split(COMMAND), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def write_model(context: Path) -> None:
    sample.write(Path(onnxruntime.__file__).with_name("datasets") / sample.MODEL, context / "models/sample/1")


def test_an_image_is_proved_while_it_is_built(context: Path, build: Build) -> None:
    write_model(context)

    built = build("--build-arg", "MODELS=models")

    assert built.returncode == 0, built.stdout
    assert built.stdout.count("snooze: serving sample/1 on ") in (1, 2), (
        built.stdout
    )  # once if its base is in the cache


@pytest.mark.parametrize("library", ["libstdc++.so.6", "libscipy_openblas64_*.so"])
def test_a_missing_library_stops_the_build(context: Path, build: Build, library: str) -> None:
    dockerfile = (context / "Dockerfile").read_text()
    last = " && python -B image/sbom.py /opt/snooze /rootfs \\\n"
    assert last in dockerfile
    (context / "Dockerfile").write_text(
        dockerfile.replace(last, f"{last} && find /rootfs -name '{library}' -print -delete | grep . \\\n")
    )

    built = build()

    assert built.returncode != 0
    assert "snooze: the image does not serve /sample" in built.stdout, built.stdout


def test_a_model_of_pictures_needs_the_library_of_its_adapter(context: Path, build: Build) -> None:
    publish_adapted(context / "models", "colours", colours(), COLOURS, ("red", "green", "blue"))

    without, having = build("--build-arg", "MODELS=models"), build("--build-arg", "MODELS=models", *PICTURES)

    assert without.returncode != 0
    assert "for an image: --build-arg EXTRAS=image" in without.stdout, without.stdout
    assert "snooze: the image does not serve /served/models" in without.stdout
    assert having.returncode == 0, having.stdout


def test_the_example_trains_converts_and_serves_without_a_training_stack_in_its_image(tmp_path: Path) -> None:
    """The check is a build, too: its last step looks for modules in the example's image."""
    server, example = "localhost/snooze-test-server:1", "localhost/snooze-test-example:1"
    code = f"import importlib.util as u; print('has', [n for n in {TRAINING} if u.find_spec(n)])"
    (tmp_path / "Dockerfile").write_text(f'FROM {example}\nRUN ["python", "-c", "{code}"]\n')

    run_build("-t", server, str(ROOT))
    made = run_build(
        "-t", example, "--build-arg", f"SERVER={server}", "-f", str(ROOT / "examples/tumour/Dockerfile"), str(ROOT)
    )
    checked = run_build("--no-cache", str(tmp_path))

    assert made.returncode == 0, made.stdout
    assert "has ['numpy', 'onnxruntime']" in checked.stdout, checked.stdout

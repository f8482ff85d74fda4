"""The Dockerfile in step with the repository, and what the wheel contains of the image."""

import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from snooze.bundle.contract import SCHEMA_VERSION

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def copied() -> set[str]:
    """Return what the Dockerfile copies from the context, without the models."""
    found = re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE)
    return {source for arguments in found for source in arguments.split()[:-1] if "MODELS" not in source}


def test_builds_from_the_repository() -> None:
    assert all(any(ROOT.glob(source)) for source in copied())


def test_the_version_is_that_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert set(re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE)) == {version}


def test_the_label_of_the_schema_is_that_of_the_bundles() -> None:
    assert re.findall(r'snooze.bundle-schema="(\d+)"', DOCKERFILE) == [str(SCHEMA_VERSION)]


def test_what_is_served_comes_from_the_stage_that_proves_it() -> None:
    """Builders skip stages from which nothing is copied."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == ["--from=proof /served/ /"]


def test_works_in_no_folder_that_a_volume_could_hide() -> None:
    assert re.findall(r"^WORKDIR (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "/"


def test_runs_without_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "65532:65532"


@pytest.mark.process
def test_the_wheel_contains_what_builds_an_image(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (file,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        names = set(wheel.namelist())
        dockerfile = wheel.read("snooze/knative/image/Dockerfile").decode()

    assert dockerfile == DOCKERFILE
    for source in copied():
        assert any(fnmatch(name, f"snooze/{source}*") for name in names), source
    assert "snooze/knative/sizing/calibration.json" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"snooze"}

"""The Dockerfile in step with the repository, and what the wheel contains of the image."""

import inspect
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from snooze.knative.image import rootfs

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_copies_everything_that_the_wheel_is_built_from() -> None:
    copied = {
        source
        for arguments in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in arguments.split()[:-1]
    }

    assert {*WHEEL["only-include"], *WHEEL["force-include"], "pyproject.toml", "README.md", "LICENSE"} <= copied
    assert all(any(ROOT.glob(source)) for source in copied)


def test_works_in_no_folder_that_a_volume_could_hide() -> None:
    assert re.findall(r"^WORKDIR (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "/"


def test_runs_without_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "65532:65532"


def test_reads_the_bytecode_that_the_build_wrote() -> None:
    """Python ignores bytecode of another level, and would compile every module at each start."""
    level = re.findall(r"^    PYTHONOPTIMIZE=(\d) ", DOCKERFILE, re.MULTILINE)

    assert [f"optimize={one}," in inspect.getsource(rootfs.compile_sources) for one in level] == [True]


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
    assert {
        f"snooze/knative/image/{name}" for name in ("image.txt", "extra-image.txt", "build.txt", "rootfs.py")
    } <= names
    assert "snooze/knative/sizing/calibration.json" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"snooze"}

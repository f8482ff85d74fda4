"""The image's locked packages: pinned, hashed, independent of a package index, and as new as the package requires."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "knative/image"
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
NEVER_IMPORTED = {"flatbuffers", "h11", "idna", "packaging", "protobuf"}  # declared by others, not needed to serve


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((FOLDER / name).read_text()))


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("name", ["image", "extra-image", "extra-text"])
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()

    assert pins(f"{name}.in").items() <= pins(f"{name}.txt").items()
    for package in PIN.finditer(text):
        following = text[package.end() :].split("==")[0]
        assert "--hash=sha256:" in following, package[1]
    assert "://" not in text


def test_the_image_installs_only_the_listed_packages() -> None:
    assert pins("image.txt") == pins("image.in")
    assert not pins("image.txt").keys() & NEVER_IMPORTED


@pytest.mark.parametrize(("name", "extra"), [("image", "service"), ("extra-image", "image"), ("extra-text", "text")])
def test_the_image_has_what_the_package_requires(name: str, extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = pins(f"{name}.txt")

    for requirement in project["optional-dependencies"][extra]:
        name, floor = requirement.split(";")[0].split(">=")
        assert number(locked[name.strip()]) >= number(floor.split(",")[0].strip()), requirement

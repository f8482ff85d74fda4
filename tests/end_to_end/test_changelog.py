"""The changelog describes the version that is built."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_has_a_section_for_the_version_being_built() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()

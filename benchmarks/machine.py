"""The machine and the versions that a measurement was made with."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from snooze.benchmarks.errors import NotMeasurable


def describe(packages: Sequence[str]) -> dict[str, Any]:
    """Return CPU, cores, kernel, Python, load average and the versions of those `packages` that are installed."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "versions": {name: found for name in packages if (found := _version(name)) is not None},
    }


def two_cores() -> tuple[int, int]:
    """Return a core for a server and one for its load; NotMeasurable if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise NotMeasurable("a server under load", "it needs two cores, one for the server and one for the load")
    return cores[0], cores[-1]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

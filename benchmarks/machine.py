"""The machine and the versions that a measurement was made with."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from snooze.benchmarks.errors import NotMeasurable

MAX_LOAD_AVERAGE: Final = 0.5
SERVER_PACKAGES: Final = (
    "snooze", "numpy", "onnxruntime", "starlette", "uvicorn", "uvloop", "httptools", "fastapi", "pydantic",
)  # fmt: skip
VERSIONS: Final = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found | {"python": platform.python_version()}))
"""


def describe(python: str = sys.executable, packages: Sequence[str] = SERVER_PACKAGES) -> dict[str, Any]:
    """Return CPU, cores, kernel, load average, and Python and the `packages` in the environment of an interpreter."""
    versions = installed(python, packages)
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": versions.pop("python"),
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def installed(python: str, packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that an interpreter's environment has, and its own as `python`."""
    try:
        done = subprocess.run([python, "-P", "-c", VERSIONS, *packages], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        problem = getattr(error, "strerror", None) or f"exit code {getattr(error, 'returncode', 0)}"
        raise NotMeasurable(f"with {python}", f"it is no Python interpreter of 3.11 or later: {problem}") from None
    return dict(json.loads(done.stdout))


def other_work() -> list[str]:
    """Return a warning if the machine was busy before a measurement began."""
    load = os.getloadavg()[0]
    if load <= MAX_LOAD_AVERAGE:
        return []
    return [f"The load average was {load:.2f} before the start: other work made the servers slower, not all alike."]


def two_cores() -> tuple[int, int]:
    """Return a core for a server and one for its load; NotMeasurable if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise NotMeasurable("a server under load", "it needs two cores, one for the server and one for the load")
    return cores[0], cores[-1]


@contextmanager
def only_core(core: int) -> Iterator[None]:
    """Keep this process, and those that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

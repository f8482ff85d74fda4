"""How much memory this process may use: the limits of its control groups, what is used of them, and the machine's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from snooze.bundle.limits import memory_left

CGROUP: Final = Path("/sys/fs/cgroup")
PROC: Final = Path("/proc/self")
SHARE: Final = 4  # without a limit, requests may take one part in so many of the machine's memory
LEAST: Final = 2**20


class Names(NamedTuple):
    """The files of a control group, and the prefix and the name of mapped files in `memory.stat`."""

    limit: str
    usage: str
    prefix: str
    mapped: str


VERSION_1: Final = Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_", "mapped_file")
VERSION_2: Final = Names("memory.max", "memory.current", "", "file_mapped")


def find_budget(cgroup: Path = CGROUP, proc: Path = PROC) -> int:
    """Return the bytes that requests may take together from now on, at least 1 MiB."""
    limit = min((limit for limit, _, _ in _limits(cgroup, proc)), default=None)
    if limit is None:
        return max(LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE)
    return max(LEAST, memory_left(limit, anonymous(proc)))


def free(cgroup: Path = CGROUP, proc: Path = PROC) -> int | None:
    """
    Return the bytes up to the memory limit, those of the page cache that the kernel can give back included.

    None means that there is no limit.
    """
    return min((_free(*one) for one in _limits(cgroup, proc)), default=None)


def anonymous(proc: Path = PROC) -> int:
    """Return the resident bytes of this process that no file holds."""
    _, resident, shared, *_ = (proc / "statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _limits(cgroup: Path, proc: Path) -> Iterator[tuple[int, Path, Names]]:
    """Yield the memory limits of our control group and of those around it, as far as they are visible here."""
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (cgroup / "memory", VERSION_1) if controllers else (cgroup, VERSION_2)
        inner = Path(path.lstrip("/"))
        for folder in (inner, *inner.parents) if path != "/" else (inner,):
            try:
                yield int((root / folder / names.limit).read_text()), root / folder, names
            except (OSError, ValueError):  # not mounted here, or "max"
                continue


def _free(limit: int, folder: Path, names: Names) -> int:
    used = int((folder / names.usage).read_text())
    lines = (folder / "memory.stat").read_text().splitlines()
    stat = {name: int(value) for name, value in (line.split() for line in lines)}
    cached = stat[f"{names.prefix}inactive_file"] + stat[f"{names.prefix}active_file"]
    return max(0, limit - used + max(0, cached - stat[names.prefix + names.mapped]))

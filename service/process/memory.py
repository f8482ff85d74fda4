"""How much memory requests may take: what the process's control group, or the machine, leaves."""

import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
SHARE: Final = 4  # without a limit, requests may take one part in so many of the machine's memory
RESERVE: Final = 8  # with a limit, one part in so many is left for what no budget counts: the heap's gaps, the kernel
PAGES: Final = 8 * 2**20  # bytes that the first request for a page takes: the modules of `pages.py`
LEAST: Final = 2**20


def find_budget(cgroup: Path = CGROUP, proc: Path = Path("/proc/self")) -> int:
    """Return the bytes that requests may take together from now on, at least 1 MiB."""
    limit = find_limit(cgroup, proc)
    if limit is None:
        return max(LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE)
    return max(LEAST, limit - limit // RESERVE - PAGES - anonymous(proc))


def find_limit(cgroup: Path = CGROUP, proc: Path = Path("/proc/self")) -> int | None:
    """Return the least memory limit of our control group and those around it, in bytes; None without one."""
    limits = []
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = cgroup, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroup / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = Path(path.lstrip("/"))
        for folder in (inner, *inner.parents):
            try:
                limits.append(int((root / folder / name).read_text()))
            except (OSError, ValueError):  # not mounted here, or "max"
                continue
    return min(limits, default=None)


def anonymous(proc: Path = Path("/proc/self")) -> int:
    """Return the resident bytes of this process that no file holds."""
    _, resident, shared, *_ = (proc / "statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")

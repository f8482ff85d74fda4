"""How many processors this process may use: its affinity and the CPU limit of its container."""

import math
import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")


def allowed(cgroup: Path = CGROUP) -> int:
    """Return the number of processors, at least 1. ONNX Runtime itself counts those of the whole machine."""
    limit = _limit(cgroup)
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here if limit is None else min(here, math.ceil(limit)))


def _limit(cgroup: Path) -> float | None:
    """Return the CPU limit in processors, of control groups in version 2, then version 1; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        microseconds = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        return microseconds / int((cgroup / "cpu/cpu.cfs_period_us").read_text()) if microseconds > 0 else None
    except (OSError, ValueError):
        return None

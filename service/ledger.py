"""
Where the time from the process's start to its readiness went.

Each moment belongs to exactly one phase, so the phases sum to the whole without a rest. What a thread does beside
counts only as far as the start had to wait for it.
"""

import os
import time
from typing import Final

PHASES: Final = ("interpreter", "imports", "session", "warm_up", "golden", "listen")


class Ledger:
    """Seconds by phase. `mark` closes what ran since the mark before."""

    def __init__(self, spawned: float | None = None) -> None:
        """`spawned` is when the process came to be, on the clock of `time.clock_gettime(CLOCK_BOOTTIME)`."""
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self._last = now() if spawned is None else spawned

    def mark(self, phase: str) -> None:
        """Count the time since the last mark as `phase`."""
        at = now()
        self.seconds[phase] += max(0.0, at - self._last)
        self._last = at

    @property
    def total(self) -> float:
        """Seconds from the start of the process to the last mark."""
        return sum(self.seconds.values())

    def server_timing(self) -> bytes:
        """Return the ledger as the value of a `Server-Timing` header, in milliseconds."""
        return ", ".join(f"{phase};dur={seconds * 1e3:.1f}" for phase, seconds in self.seconds.items()).encode()


def now() -> float:
    """Return seconds since the machine booted: the clock on which the kernel notes when a process began."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def process_start() -> float | None:
    """Return when this process was spawned, to the kernel's 10 ms, or None where the kernel does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  (the cold path: pathlib is not imported yet)
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None

"""
Where the time from the process's start to its readiness went, by phase and by two clocks.

wall: Every moment after the interpreter's start belongs to exactly one phase, so that the phases sum to the whole. What
a thread does meanwhile counts only as far as the start had to wait for it.

cpu: The CPU time of the whole process. That of the thread that loads the models counts as `session`.

The first phase, `interpreter`, ends when the timer is made, or when its maker noted that the interpreter was ready. Its
beginning is not known exactly: the kernel notes when a process was created (to 10 ms), not when it executed Python. In
a container these differ by the container runtime's own work, in a shell script by what came before its `exec`. So the
phase is at most the CPU time of this thread plus the time in which it was ready but had no processor (exact figures of
the scheduler). Not counted is therefore a wait for the disk while Python itself is loaded; counted, although it came
before, is the CPU time that the same thread used before the `exec`: some milliseconds of a container runtime.
"""

import os
import time

PHASES = ("interpreter", "imports", "session", "adapter", "warm_up", "golden", "listen")


class StartupTimer:
    """Seconds by phase. `mark` ends a phase."""

    def __init__(self, loaded: tuple[float, float] | None = None) -> None:
        """`loaded`: `perf_counter()` and `process_time()` when the interpreter was ready, if that was not just now."""
        self.wall = dict.fromkeys(PHASES, 0.0)
        self.cpu = dict.fromkeys(PHASES, 0.0)
        self._last = loaded or (time.perf_counter(), time.process_time())
        wall, cpu = measure_interpreter()
        self.mark("imports")
        self.cpu["interpreter"] = max(0.0, cpu - self.cpu["imports"])
        self.wall["interpreter"] = max(self.cpu["interpreter"], wall - self.wall["imports"])

    def mark(self, phase: str) -> None:
        """Count the time since the last mark as `phase`."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.wall[phase] += wall - self._last[0]
        self.cpu[phase] += cpu - self._last[1]
        self._last = wall, cpu

    def move_cpu(self, wrong: str, right: str, seconds: float) -> None:
        """Count CPU seconds as `right` that were counted as `wrong`: a thread worked during another phase."""
        self.cpu[wrong] -= seconds
        self.cpu[right] += seconds

    @property
    def total(self) -> float:
        """Seconds of wall time from the interpreter's start to the last mark."""
        return sum(self.wall.values())

    def format_server_timing(self) -> bytes:
        """Return the wall times as the value of a `Server-Timing` header, in milliseconds."""
        return ", ".join(f"{phase};dur={seconds * 1e3:.1f}" for phase, seconds in self.wall.items()).encode()


def measure_interpreter(proc: str = "/proc/self") -> tuple[float, float]:
    """Return the wall and CPU seconds since this process executed Python, as well as they can be known."""
    cpu = time.thread_time()
    try:
        with open(f"{proc}/stat", "rb") as file:  # noqa: PTH123  (the cold path: pathlib is not imported yet)
            created = int(file.read().rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        wall = max(cpu, time.clock_gettime(time.CLOCK_BOOTTIME) - created)
        with open(f"{proc}/schedstat", "rb") as file:  # noqa: PTH123
            return min(wall, cpu + int(file.read().split()[1]) / 1e9), cpu
    except (OSError, ValueError, IndexError):  # another kernel
        return cpu, cpu

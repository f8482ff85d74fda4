"""
What a server costs while it is loaded: CPU seconds and peak memory, of a tree of processes or of a cgroup.

A meter is asked again and again by whoever owns it (`sample`); nothing here waits or starts a thread, except `Watch`.
"""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from snooze.benchmarks.errors import NotMeasurable

PROC: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK")
INTERVAL_SECONDS: Final = 0.1


class Meter(Protocol):
    """Something whose CPU seconds and memory can be read."""

    memory_is: str

    def cpu_seconds(self) -> float:
        """Return the CPU seconds used so far."""

    def peak_bytes(self) -> int:
        """Return the most memory used so far, or what is used now where the kernel remembers no peak."""


class Tree:
    """
    A process and all that descend from it, those included that start or end while it is watched.

    CPU is that of the living, exact to the nanosecond, and of the dead as their parents' kernels have added it up.
    Memory is the highest resident memory (VmHWM) of the largest process, which the kernel remembers exactly, and what
    the others hold at the moment and share with nobody: what they share, the largest most likely has already.
    """

    memory_is = "peak resident memory of the largest process, and what the others do not share"

    def __init__(self, pid: int) -> None:
        if _stat(pid) is None:
            raise NotMeasurable(f"process {pid}", "there is no such process")
        self.pid = pid

    def members(self) -> list[int]:
        """Return the ids of the living processes of the tree, the root first."""
        children: dict[int, list[int]] = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
        tree = [self.pid]
        for pid in tree:  # grows while it is walked
            tree.extend(children.get(pid, ()))
        return tree

    def cpu_seconds(self) -> float:
        """
        Return the CPU seconds of the tree.

        Raises:
            ProcessLookupError: its root is gone, or nothing but a line in the process table (a zombie).
        """
        root = _stat(self.pid)
        if root is None or root[0] == "Z":
            raise ProcessLookupError(f"there is no process {self.pid}")
        total = 0.0
        for pid in reversed(self.members()):  # children first: the time of one that ends is its parent's a moment later
            try:
                total += cpu_seconds(pid)
            except ProcessLookupError:
                if pid == self.pid:
                    raise
        return total

    def peak_bytes(self) -> int:
        """Return the peak of the largest process that lives now, and the private memory of the others."""
        peaks = {pid: peak_resident_bytes(pid) for pid in self.members()}
        largest = max(peaks, key=lambda pid: peaks[pid])
        return peaks[largest] + sum(private_bytes(pid) for pid in peaks if pid != largest)

    def pss_bytes(self) -> int:
        """
        Return the sum of the proportional set sizes, which count what processes share only once.

        Raises:
            NotMeasurable: a process is gone or belongs to somebody else.
        """
        return sum(rollup_bytes(pid, "Pss:") for pid in self.members())

    def anonymous_bytes(self) -> int:
        """
        Return the sum of anonymous memory: what the processes made themselves, whatever else the machine does.

        Raises:
            NotMeasurable: a process is gone or belongs to somebody else.
        """
        return sum(rollup_bytes(pid, "Anonymous:") for pid in self.members())


class Cgroup:
    """A control group (version 2), such as the one of a container."""

    memory_is = "memory.peak of the cgroup"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.cpu_seconds()
            self.peak_bytes()
        except (OSError, ValueError, KeyError) as error:
            raise NotMeasurable(f"cgroup {path}", f"{getattr(error, 'strerror', None) or error}") from None

    def cpu_seconds(self) -> float:
        """Return `usage_usec` of cpu.stat, in seconds."""
        fields = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def peak_bytes(self) -> int:
        """Return memory.peak, or memory.current where the kernel (before 5.19) has none; both count page cache too."""
        peak = self.path / "memory.peak"
        return int((peak if peak.exists() else self.path / "memory.current").read_text())


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used between `begin` and `end` of a watch."""

    cpu_cores: float
    peak_bytes: int
    memory_is: str


class Watch:
    """
    A thread that samples a meter ten times a second. The peak counts from entering, CPU from `begin` to `end`.

    `usage` is None without a meter, or, as `problem` says, if what is measured was gone before the end.
    """

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak_bytes = 0
        self._from: tuple[float, float] | None = None
        self.usage: Usage | None = None
        self.problem: str | None = None

    def __enter__(self) -> "Watch":
        if self._meter is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._meter is not None:
            self._thread.join()

    def begin(self) -> None:
        """Count CPU from now on."""
        if self._meter is not None:
            self._from = time.perf_counter(), self._meter.cpu_seconds()

    def end(self) -> None:
        """Fix the usage since `begin`."""
        if self._meter is None or self._from is None:
            return
        begun, used = self._from
        try:
            cpu = self._meter.cpu_seconds() - used
            self.peak_bytes = max(self.peak_bytes, self._meter.peak_bytes())
        except OSError:
            self.problem = "it was gone before the load ended"
            return
        cores = cpu / (time.perf_counter() - begun)
        if cores < 0:
            self.problem = "it ended and another took its place, so its CPU time is unknown"
            return
        self.usage = Usage(cores, self.peak_bytes, self._meter.memory_is)

    def _run(self) -> None:
        assert self._meter is not None
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self.peak_bytes = max(self.peak_bytes, self._meter.peak_bytes())
            except OSError:
                continue  # gone; `end` says so


def cpu_seconds(pid: int) -> float:
    """
    Return the CPU seconds of one process, its ended threads and the children it has waited for.

    Raises:
        ProcessLookupError: there is no such process.
    """
    # clock_getcpuclockid(3) builds the same number; the kernel's ABI for it is in linux/posix-timers.h.
    try:
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise ProcessLookupError(f"there is no process {pid}") from None
    fields = _stat(pid)
    if fields is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return own + (int(fields[13]) + int(fields[14])) / TICKS


def rollup_bytes(pid: int, field: str) -> int:
    """
    Return a field of /proc/PID/smaps_rollup (proc(5)) in bytes, such as `Pss:`.

    Raises:
        NotMeasurable: there is no such process, or it belongs to somebody else.
    """
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError as error:
        raise NotMeasurable(f"process {pid}", error.strerror or str(error)) from None
    return _kibibytes(text, field)


def peak_resident_bytes(pid: int) -> int:
    """Return the most resident memory that one process has ever had; 0 if it is gone."""
    try:
        return _kibibytes((PROC / str(pid) / "status").read_text(), "VmHWM:")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def private_bytes(pid: int) -> int:
    """Return the memory that one process shares with no other; all it has if that cannot be told; 0 if it is gone."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except PermissionError:
        return peak_resident_bytes(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return _kibibytes(text, "Private_Clean:") + _kibibytes(text, "Private_Dirty:")


def _kibibytes(text: str, field: str) -> int:
    """Return a field of a /proc file in bytes. A process that is ending, or a kernel thread, has no memory."""
    for line in text.splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def _parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None:
                yield int(entry.name), int(fields[1])


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on, which is the third (proc(5)); None if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None

"""
CPU seconds and peak memory of a loaded server: of a tree of processes, or of a cgroup.

Only `Watch` starts a thread; a meter reads when it is asked to.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Protocol

from snooze.benchmarks.errors import NotMeasurable

PROC: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK")
INTERVAL_SECONDS: Final = 0.1
MIB: Final = 2**20
RESET_PEAK: Final = "5"  # to /proc/PID/clear_refs: VmHWM becomes the present VmRSS (proc(5))


class Meter(Protocol):
    """The CPU seconds and memory of something."""

    memory_kind: str

    def cpu_seconds(self) -> float:
        """Return the CPU seconds used so far."""

    def reset_peak(self) -> bool:
        """Let the peak begin at the present memory; return whether the kernel permits it."""

    def peak_bytes(self) -> int:
        """Return the kernel's peak, 0 where it keeps none."""

    def memory_bytes(self) -> int:
        """Return the present memory."""


class Tree:
    """
    A process and all its descendants, including those that start or end later.

    CPU is that of the living processes, exact to the nanosecond, and of ended ones as the kernel adds it to their
    parents. Memory is that of the largest process, plus what the others share with no process: most of what they
    share belongs to the largest already.
    """

    memory_kind = "resident memory of the largest process and private memory of the others"

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
        for pid in tree:  # grows during the iteration
            tree.extend(children.get(pid, ()))
        return tree

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the tree, or raise ProcessLookupError if its root has ended."""
        root = _stat(self.pid)
        if root is None or root[0] == "Z":
            raise ProcessLookupError(f"there is no process {self.pid}")
        total = 0.0
        for pid in reversed(self.members()):  # children first: the time of one that ends becomes its parent's
            try:
                total += cpu_seconds(pid)
            except ProcessLookupError:
                if pid == self.pid:
                    raise
        return total

    def reset_peak(self) -> bool:
        """Let the peak of each process begin at its present memory; return whether the kernel permits it."""
        try:
            for pid in self.members():
                (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)
        except OSError:
            return False
        return True

    def peak_bytes(self) -> int:
        """Return the peak of the largest living process (VmHWM), and the private memory of the others."""
        return self._largest("VmHWM:")

    def memory_bytes(self) -> int:
        """Return the resident memory of the largest living process, and the private memory of the others."""
        return self._largest("VmRSS:")

    def rollup_bytes(self, field: str) -> int:
        """
        Return the sum of a field of /proc/PID/smaps_rollup (proc(5)) in bytes, or raise NotMeasurable.

        `Pss:` counts shared memory once; `Anonymous:` does not depend on what else runs on the machine.
        """
        return sum(rollup_bytes(pid, field) for pid in self.members())

    def _largest(self, field: str) -> int:
        sizes = {pid: resident_bytes(pid, field) for pid in self.members()}
        largest = max(sizes, key=lambda pid: sizes[pid])
        return sizes[largest] + sum(private_bytes(pid) for pid in sizes if pid != largest)


class Memory(NamedTuple):
    """The memory of a server and its child processes, in MiB."""

    pss: float
    anonymous: float
    peak: float

    @classmethod
    def of(cls, pid: int) -> "Memory":
        """Return the present memory of a server, and its peak."""
        tree = Tree(pid)
        return cls(tree.rollup_bytes("Pss:") / MIB, tree.rollup_bytes("Anonymous:") / MIB, tree.peak_bytes() / MIB)


class Cgroup:
    """A control group (version 2), such as that of a container. Its memory includes the page cache."""

    memory_kind = "memory of the cgroup"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.cpu_seconds()
            self.memory_bytes()
        except (OSError, ValueError, KeyError) as error:
            raise NotMeasurable(f"cgroup {path}", f"{getattr(error, 'strerror', None) or error}") from None

    def cpu_seconds(self) -> float:
        """Return `usage_usec` of cpu.stat, in seconds."""
        fields = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def reset_peak(self) -> bool:
        """Return False: the kernel resets memory.peak only since 6.12, and only for one open file."""
        return False

    def peak_bytes(self) -> int:
        """Return memory.peak, 0 where the kernel (before 5.19) keeps none."""
        peak = self.path / "memory.peak"
        return int(peak.read_text()) if peak.exists() else 0

    def memory_bytes(self) -> int:
        """Return memory.current."""
        return int((self.path / "memory.current").read_text())


class Usage(NamedTuple):
    """What was used between `begin` and `end` of a watch, and how its memory was read."""

    cpu_cores: float
    peak_bytes: int
    memory_source: str


class Watch:
    """
    A thread that samples the memory of a meter ten times a second, and its CPU and peak from `begin` to `end`.

    The kernel's peak counts if it was reset before the load or grew during it; otherwise it is older than the load, and
    the largest sample counts. `usage` is None without a meter, or, with a `problem`, if the server ended too early.
    """

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._begun: tuple[float, float, int] | None = None  # clock, CPU seconds, peak bytes (-1: reset)
        self.sampled_bytes = 0
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
        """Measure from now on."""
        if self._meter is None:
            return
        try:
            peak = -1 if self._meter.reset_peak() else self._meter.peak_bytes()
            self.sampled_bytes = 0
            self._begun = time.perf_counter(), self._meter.cpu_seconds(), peak
        except OSError:
            self.problem = "it ended before the load began"

    def end(self) -> None:
        """Set `usage` to what was used since `begin`."""
        if self._meter is None or self._begun is None:
            return
        begun, cpu_before, peak_before = self._begun
        try:
            cpu = self._meter.cpu_seconds() - cpu_before
            peak, sampled = self._meter.peak_bytes(), max(self.sampled_bytes, self._meter.memory_bytes())
        except OSError:
            self.problem = "it ended before the load did"
            return
        if cpu < 0:
            self.problem = "it ended and another process took its place, so its CPU time is unknown"
            return
        valid = peak > peak_before
        source = "the kernel's peak" if valid else f"the largest of samples every {INTERVAL_SECONDS:g} s"
        self.usage = Usage(
            cpu / (time.perf_counter() - begun),
            max(peak, sampled) if valid else sampled,  # a process with a higher peak may have ended
            f"{self._meter.memory_kind}; {source} during the load",
        )

    def _run(self) -> None:
        assert self._meter is not None
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self.sampled_bytes = max(self.sampled_bytes, self._meter.memory_bytes())
            except OSError:
                continue  # it has ended; `end` reports that


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, its ended threads and the children that it waited for."""
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
    """Return a field of /proc/PID/smaps_rollup in bytes, or raise NotMeasurable."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError as error:
        raise NotMeasurable(f"process {pid}", error.strerror or str(error)) from None
    return _kibibytes(text, field)


def resident_bytes(pid: int, field: str = "VmHWM:") -> int:
    """Return the peak (`VmHWM:`) or present (`VmRSS:`) resident memory of one process; 0 if it has ended."""
    try:
        return _kibibytes((PROC / str(pid) / "status").read_text(), field)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def private_bytes(pid: int) -> int:
    """Return the memory that one process shares with no other, its resident memory if unreadable; 0 if it has ended."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except PermissionError:
        return resident_bytes(pid, "VmRSS:")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return _kibibytes(text, "Private_Clean:") + _kibibytes(text, "Private_Dirty:")


def _kibibytes(text: str, field: str) -> int:
    """Return a field of a /proc file in bytes, 0 without it: an ending process and a kernel thread have no memory."""
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
    """Return the fields of /proc/PID/stat from the third (the state) on, see proc(5); None if it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.meters import MIB, Cgroup, Memory, Meter, Tree, Watch, cpu_seconds, resident_bytes, rollup_bytes

pytestmark = pytest.mark.process
# Uses so many CPU seconds, prints a line, and waits.
BURN = """
import sys, time
while time.process_time() < float(sys.argv[1]): pass
print("burnt", time.process_time(), flush=True)
sys.stdin.read()
"""
# Starts one child after another and waits for each, so that their time becomes its own.
PARENT = f"""
import subprocess, sys
for seconds in sys.argv[1:]:
    child = subprocess.Popen([sys.executable, "-c", {BURN!r}, seconds], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    print(child.pid, flush=True)
    sys.stdin.readline()
    child.stdin.close()
    child.wait()
    print("gone", flush=True)
    sys.stdin.readline()
"""
FILL = """
import sys
block = bytearray(int(sys.argv[1]) * 2**20)
for index in range(0, len(block), 4096): block[index] = 1
del block
print("filled", flush=True)
sys.stdin.read()
"""

Start = Callable[..., subprocess.Popen[str]]


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def start() -> Iterator["Start"]:
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_counts_the_cpu_of_a_process(start: Start) -> None:
    process = start(BURN, 0.3)
    burnt = float(line(process).split()[1])

    assert cpu_seconds(process.pid) == pytest.approx(burnt, abs=0.02)


def test_counts_the_cpu_of_children_alive_and_gone(start: Start) -> None:
    parent = start(PARENT, 0.2, 0.3)
    tree = Tree(parent.pid)

    first = int(line(parent))
    alive = tree.cpu_seconds()
    assert tree.members() == [parent.pid, first]
    go_on(parent)
    assert line(parent) == "gone\n"
    gone = tree.cpu_seconds()
    assert tree.members() == [parent.pid]
    go_on(parent)
    second = int(line(parent))

    assert tree.members() == [parent.pid, second]
    assert alive == pytest.approx(gone, abs=0.05)  # the time of a child does not vanish with it
    assert tree.cpu_seconds() - gone == pytest.approx(0.3, abs=0.08)


def test_the_peak_includes_memory_that_was_freed(start: Start) -> None:
    process = start(FILL, 64)
    line(process)

    assert 64 * MIB < resident_bytes(process.pid) < 96 * MIB
    assert rollup_bytes(process.pid, "Pss:") < 32 * MIB
    assert Tree(process.pid).rollup_bytes("Anonymous:") <= Tree(process.pid).rollup_bytes("Pss:")


def test_shared_memory_of_a_tree_counts_once(start: Start) -> None:
    parent = start(PARENT, 0.01)
    child = int(line(parent))
    peaks = [resident_bytes(pid) for pid in (parent.pid, child)]

    assert max(peaks) < Tree(parent.pid).peak_bytes() < sum(peaks)


def test_a_process_that_is_not_there_cannot_be_measured(start: Start) -> None:
    process = start("pass")
    process.wait()

    with pytest.raises(NotMeasurable) as caught:
        Tree(process.pid)
    assert str(caught.value) == f"cannot measure process {process.pid}: there is no such process"
    with pytest.raises(ProcessLookupError):
        cpu_seconds(process.pid)
    with pytest.raises(NotMeasurable, match="No such file or directory"):
        rollup_bytes(process.pid, "Pss:")
    assert resident_bytes(process.pid) == 0


def cgroup(folder: Path, *, usage: int, peak: int | None = None) -> Cgroup:
    (folder / "cpu.stat").write_text(f"usage_usec {usage}\nuser_usec 1\nsystem_usec 2\n")
    (folder / "memory.current").write_text("1000\n")
    if peak is not None:
        (folder / "memory.peak").write_text(f"{peak}\n")
    return Cgroup(folder)


def test_reads_cpu_and_memory_of_a_cgroup(tmp_path: Path) -> None:
    group = cgroup(tmp_path, usage=2_500_000, peak=4000)

    assert (group.cpu_seconds(), group.peak_bytes()) == (2.5, 4000)


def test_reads_current_memory_where_the_kernel_keeps_no_peak(tmp_path: Path) -> None:
    group = cgroup(tmp_path, usage=1)

    assert (group.peak_bytes(), group.memory_bytes()) == (0, 1000)


def test_a_folder_without_cgroup_files_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(NotMeasurable) as caught:
        Cgroup(tmp_path)

    assert str(caught.value) == f"cannot measure cgroup {tmp_path}: No such file or directory"


def test_a_watch_reports_what_was_used_between_begin_and_end(start: Start) -> None:
    process = start("import sys; sys.stdin.readline()\n" + BURN, 0.4)
    with Watch(Tree(process.pid)) as watch:
        watch.begin()
        begun = time.perf_counter()
        go_on(process)
        line(process)
        watch.end()
        elapsed = time.perf_counter() - begun

    assert watch.usage is not None
    assert watch.usage.cpu_cores * elapsed == pytest.approx(0.4, abs=0.1)


# Fills a block of so many MiB at each line that it reads, frees it, and prints a line.
FILL_AGAIN = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    block = bytearray(int(line) * 2**20)
    for index in range(0, len(block), 4096): block[index] = 1
    del block
    print("filled", flush=True)
"""


def fill(process: subprocess.Popen[str], mib: int) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{mib}\n")
    process.stdin.flush()
    assert line(process) == "filled\n"


def test_the_peak_is_that_of_the_load_not_of_the_whole_life(start: Start) -> None:
    process = start(FILL_AGAIN)
    line(process)
    fill(process, 128)
    with Watch(Tree(process.pid)) as watch:
        watch.begin()
        fill(process, 32)
        watch.end()

    assert watch.usage is not None
    assert 32 * MIB < watch.usage.peak_bytes < 96 * MIB
    assert watch.usage.memory_source == (
        "resident memory of the largest process and private memory of the others; the kernel's peak during the load"
    )


class Fixed:
    """A meter whose kernel does not reset the peak."""

    memory_kind = "memory"

    def __init__(self, peaks: list[int], memory: int) -> None:
        self.peaks = peaks
        self.memory = memory

    def cpu_seconds(self) -> float:
        return time.perf_counter()

    def reset_peak(self) -> bool:
        return False

    def peak_bytes(self) -> int:
        return self.peaks.pop(0)

    def memory_bytes(self) -> int:
        return self.memory


@pytest.mark.parametrize(
    ("peaks", "expected", "source"),
    [
        ([1000, 3000], 3000, "memory; the kernel's peak during the load"),
        ([1000, 1000], 700, "memory; the largest of samples every 0.1 s during the load"),
    ],
)
def test_an_older_peak_does_not_count(peaks: list[int], expected: int, source: str) -> None:
    meter: Meter = Fixed(peaks, 700)
    with Watch(meter) as watch:
        watch.begin()
        watch.end()

    assert watch.usage is not None
    assert (watch.usage.peak_bytes, watch.usage.memory_source) == (expected, source)


def test_a_process_that_ended_before_the_load_is_reported(start: Start) -> None:
    process = start(BURN, 0)
    with Watch(Tree(process.pid)) as watch:
        process.kill()
        process.wait()
        watch.begin()
        watch.end()

    assert (watch.usage, watch.problem) == (None, "it ended before the load began")


@pytest.mark.parametrize("reaped", [True, False])
def test_a_watch_reports_a_process_that_ended(start: Start, reaped: bool) -> None:
    process = start(BURN, 0)
    with Watch(Tree(process.pid)) as watch:
        watch.begin()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if reaped:
            process.wait()
        watch.end()

    assert watch.usage is None
    assert watch.problem == "it ended before the load did"


def test_a_watch_without_a_meter_measures_nothing() -> None:
    with Watch(None) as watch:
        watch.begin()
        watch.end()

    assert (watch.usage, watch.problem) == (None, None)


def test_a_watch_of_a_cgroup_keeps_its_largest_sample(tmp_path: Path) -> None:
    with Watch(cgroup(tmp_path, usage=0, peak=6000)) as watch:
        watch.begin()
        (tmp_path / "memory.current").write_text("5000")
        until = time.monotonic() + 60
        while watch.sampled_bytes < 5000 and time.monotonic() < until:
            time.sleep(0.01)
        cgroup(tmp_path, usage=10**6)
        watch.end()

    assert watch.usage is not None
    assert watch.usage.peak_bytes == 5000
    assert watch.usage.cpu_cores > 0


def test_measures_this_very_process() -> None:
    assert cpu_seconds(os.getpid()) == pytest.approx(time.process_time() + sum(os.times()[2:4]), abs=0.05)


def test_the_memory_of_a_server_has_its_private_part_and_its_peak(start: Start) -> None:
    process = start(FILL, "64")
    line(process)

    memory = Memory.of(process.pid)

    assert 0 < memory.anonymous < memory.pss < memory.peak
    assert memory.peak > 64

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.meters import Cgroup, Tree, Watch, cpu_seconds, peak_resident_bytes, rollup_bytes

MIB = 2**20
# Uses as many CPU seconds as it is told, says so, and waits.
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


def test_remembers_memory_that_was_given_back(start: Start) -> None:
    process = start(FILL, 64)
    line(process)

    assert 64 * MIB < peak_resident_bytes(process.pid) < 96 * MIB
    assert rollup_bytes(process.pid, "Pss:") < 32 * MIB
    assert Tree(process.pid).anonymous_bytes() <= Tree(process.pid).pss_bytes()


def test_counts_what_a_tree_shares_only_once(start: Start) -> None:
    parent = start(PARENT, 0.01)
    child = int(line(parent))
    peaks = [peak_resident_bytes(pid) for pid in (parent.pid, child)]

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
    assert peak_resident_bytes(process.pid) == 0


def cgroup(folder: Path, *, usage: int, peak: int | None = None) -> Cgroup:
    (folder / "cpu.stat").write_text(f"usage_usec {usage}\nuser_usec 1\nsystem_usec 2\n")
    (folder / "memory.current").write_text("1000\n")
    if peak is not None:
        (folder / "memory.peak").write_text(f"{peak}\n")
    return Cgroup(folder)


def test_reads_the_accounts_of_a_cgroup(tmp_path: Path) -> None:
    group = cgroup(tmp_path, usage=2_500_000, peak=4000)

    assert (group.cpu_seconds(), group.peak_bytes()) == (2.5, 4000)


def test_reads_current_memory_where_the_kernel_remembers_no_peak(tmp_path: Path) -> None:
    assert cgroup(tmp_path, usage=1).peak_bytes() == 1000


def test_a_folder_that_is_no_cgroup_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(NotMeasurable) as caught:
        Cgroup(tmp_path)

    assert str(caught.value) == f"cannot measure cgroup {tmp_path}: No such file or directory"


def test_a_watch_reports_what_was_used_between_begin_and_end(start: Start) -> None:
    process = start(BURN, 0.4)
    with Watch(Tree(process.pid)) as watch:
        watch.begin()
        begun = time.perf_counter()
        line(process)
        watch.end()
        elapsed = time.perf_counter() - begun

    assert watch.usage is not None
    assert watch.usage.cpu_cores * elapsed == pytest.approx(0.4, abs=0.05)
    assert watch.usage.peak_bytes == peak_resident_bytes(process.pid)
    assert watch.usage.memory_is == "peak resident memory of the largest process, and what the others do not share"


@pytest.mark.parametrize("reaped", [True, False])
def test_a_watch_says_that_what_it_measured_is_gone(start: Start, reaped: bool) -> None:
    process = start(BURN, 0)
    with Watch(Tree(process.pid)) as watch:
        watch.begin()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if reaped:
            process.wait()
        watch.end()

    assert watch.usage is None
    assert watch.problem == "it was gone before the load ended"


def test_a_watch_without_a_meter_measures_nothing() -> None:
    with Watch(None) as watch:
        watch.begin()
        watch.end()

    assert (watch.usage, watch.problem) == (None, None)


def test_a_watch_of_a_cgroup_keeps_its_highest_memory(tmp_path: Path) -> None:
    with Watch(cgroup(tmp_path, usage=0)) as watch:
        watch.begin()
        (tmp_path / "memory.current").write_text("5000")
        until = time.monotonic() + 5
        while watch.peak_bytes < 5000 and time.monotonic() < until:
            time.sleep(0.01)
        (tmp_path / "memory.current").write_text("2000")
        cgroup(tmp_path, usage=10**6)
        watch.end()

    assert watch.usage is not None
    assert watch.usage.peak_bytes == 5000
    assert watch.usage.cpu_cores > 0


def test_measures_this_very_process() -> None:
    assert cpu_seconds(os.getpid()) == pytest.approx(time.process_time() + sum(os.times()[2:4]), abs=0.05)

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snooze.service.process.startup_timer import PHASES, StartupTimer, measure_interpreter

MEASURE = """
import time
from snooze.service.process.startup_timer import measure_interpreter
print(time.clock_gettime(time.CLOCK_BOOTTIME), *measure_interpreter())
"""


def test_phases_sum_to_the_whole() -> None:
    outer = time.perf_counter()
    timer = StartupTimer()
    before = timer.total
    inner = time.perf_counter()
    for phase in ("listen", "imports", "session"):
        time.sleep(0.001)
        timer.mark(phase)
    inner = time.perf_counter() - inner
    timer.mark("listen")
    outer = time.perf_counter() - outer

    assert inner <= timer.total - before <= outer
    assert timer.wall["session"] >= 0.001
    assert timer.wall["warm_up"] == timer.cpu["warm_up"] == 0
    assert tuple(timer.wall) == tuple(timer.cpu) == PHASES


def test_a_wait_takes_no_cpu_time_and_work_does() -> None:
    timer = StartupTimer()
    time.sleep(0.1)
    timer.mark("session")
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    timer.mark("imports")

    assert timer.wall["session"] >= 0.1 > timer.cpu["session"]
    assert timer.wall["imports"] > 0.09
    assert timer.cpu["imports"] >= 0.1


def test_the_cpu_time_of_a_thread_can_be_counted_as_another_phase() -> None:
    timer = StartupTimer()
    timer.cpu["imports"], timer.cpu["session"] = 2.0, 1.0
    timer.move_cpu("imports", "session", 0.5)

    assert (timer.cpu["imports"], timer.cpu["session"]) == (1.5, 1.5)


def test_what_came_after_the_interpreter_counts_as_imports() -> None:
    loaded = time.perf_counter(), time.process_time()
    time.sleep(0.05)
    timer = StartupTimer(loaded)

    assert timer.wall["imports"] >= 0.05 > timer.cpu["imports"]
    assert timer.wall["interpreter"] >= timer.cpu["interpreter"] > 0


def test_the_header_lists_the_wall_time_of_every_phase_in_milliseconds() -> None:
    timer = StartupTimer()
    timer.wall["imports"] = 0.1234

    timing = dict(part.split(";dur=") for part in timer.format_server_timing().decode().split(", "))

    assert tuple(timing) == PHASES
    assert timing["imports"] == "123.4"


@pytest.mark.process
def test_the_time_before_exec_is_not_counted() -> None:
    """A container's process exists long before it executes Python; so does this one."""
    start = time.clock_gettime(time.CLOCK_BOOTTIME)
    shell = f"sleep 1; exec {sys.executable} -c '{MEASURE}'"
    output = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    end, wall, cpu = map(float, output.split())

    tick = 1 / os.sysconf("SC_CLK_TCK")  # to which the kernel rounds the start of a process
    assert 0 < cpu <= wall <= end - start - 1 + tick


@pytest.mark.parametrize(
    ("files", "waited"),
    [
        ({}, 0.0),
        ({"stat": "1 (a) b) R" + " 0" * 18 + " 0"}, 0.0),
        ({"stat": "1 (a) b) R" + " 0" * 18 + " 0", "schedstat": "5000000 250000000 7"}, 0.25),
    ],
)
def test_what_the_kernel_does_not_say_is_not_counted(tmp_path: Path, files: dict[str, str], waited: float) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = time.thread_time()
    wall, cpu = measure_interpreter(str(tmp_path))

    assert before <= cpu <= time.thread_time()
    assert wall == pytest.approx(cpu + waited)

import os
import platform
import subprocess
import sys

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.machine import describe, installed, only_core, other_work, two_cores


@pytest.mark.process
def test_names_the_versions_of_what_is_installed() -> None:
    machine = describe(packages=["numpy", "no-such-package"])

    assert list(machine["versions"]) == ["numpy"]
    assert machine["python"] == platform.python_version()
    assert machine["cores"] >= 1
    assert machine["cpu"]


def test_server_and_load_get_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1, 2})

    assert two_cores() == (1, 3)


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})

    with pytest.raises(NotMeasurable):
        two_cores()


@pytest.mark.process
@pytest.mark.parametrize(
    ("python", "problem"), [("/bin/false", "exit code 1"), ("/no/such/python", "No such file or directory")]
)
def test_an_interpreter_that_does_not_run_is_an_error(python: str, problem: str) -> None:
    with pytest.raises(NotMeasurable) as caught:
        installed(python, [])

    assert caught.value.what == f"with {python}"
    assert caught.value.problem.endswith(f": {problem}")


@pytest.mark.process
def test_the_versions_are_those_of_the_interpreters_environment() -> None:
    assert set(installed(sys.executable, ["pytest", "no-such-package"])) == {"pytest", "python"}


@pytest.mark.parametrize(("load", "warnings"), [(0.5, 0), (0.51, 1)])
def test_warns_of_a_busy_machine(load: float, warnings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))

    assert len(other_work()) == warnings


@pytest.mark.process
def test_processes_that_are_started_meanwhile_stay_on_the_core() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    code = "import os; print(os.sched_getaffinity(0))"

    with only_core(core):
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert child.stdout == f"{{{core}}}\n"
    assert os.sched_getaffinity(0) == before

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest

from snooze.bundle.evidence import read_evidence
from snooze.convert import child
from snooze.convert.build import Job
from snooze.convert.environment import child_environment
from snooze.convert.errors import Interrupted, Unfitted
from snooze.convert.options import Options

pytestmark = [pytest.mark.framework, pytest.mark.process]

MakeJob = Callable[..., Job]
STEPS: list[str] = []


class Call:
    """Calls a function when it is unpickled: a model file that crashes or hangs the process that reads it."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.arguments


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    """Make a job of an object in a pickle. The child is started for every kind of file here."""

    def make(model: object, **options: Any) -> Job:
        joblib.dump(model, tmp_path / "model.joblib")
        return Job(tmp_path / "model.joblib", "m", None, None, ["model.joblib"], Options(trust=True, **options))

    return make


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "draft").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path / "draft", tmp_path / "work"


def test_returns_what_the_child_made_and_passes_on_its_steps(
    job: MakeJob, folders: tuple[Path, Path], pipeline: Any
) -> None:
    steps: list[str] = []

    bundle = child.build(job(pipeline), *folders, steps.append)

    assert (bundle.name, bundle.source.command) == ("m", "snooze convert model.joblib")
    assert read_evidence(bundle).parity.verdict == "agrees"
    assert (folders[0] / "model.onnx").is_file()
    assert (steps[0], len(steps)) == ("reading the model", 5)


def test_raises_the_error_of_the_child(job: MakeJob, folders: tuple[Path, Path]) -> None:
    from sklearn.linear_model import LinearRegression

    with pytest.raises(Unfitted, match="is not fitted; call fit on it") as caught:
        child.build(job(LinearRegression()), *folders, STEPS.append)

    assert caught.value.model == "LinearRegression"


def test_raises_a_fault_of_the_system(job: MakeJob, folders: tuple[Path, Path], pipeline: Any) -> None:
    folders[0].rmdir()

    with pytest.raises(FileNotFoundError) as caught:
        child.build(job(pipeline), *folders, STEPS.append)

    assert str(caught.value.filename).startswith(str(folders[0]))


@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        (Call(os.abort), {}, "the process ended with SIGABRT, as native code does with a damaged model"),
        (Call(os._exit, 3), {}, "the process ended with exit code 3"),
        (Call(time.sleep, 300.0), {"max_time": 2.0}, "the conversion took more than 2 s; raise --max-time"),
        (
            Call(bytes.__mul__, b"x", 2**29),
            {"max_memory": 2**28},
            "it needs more than 256.0 MiB of memory; raise --max",
        ),
    ],
    ids=["crash", "exit", "endless", "memory"],
)
def test_a_child_that_does_not_finish_is_an_error(
    job: MakeJob, folders: tuple[Path, Path], model: object, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Interrupted) as caught:
        child.build(job(model, **options), *folders, STEPS.append)

    assert (caught.value.step, problem in caught.value.problem) == ("reading the model", True)


def test_a_defect_in_the_child_is_passed_on_in_one_line(job: MakeJob, folders: tuple[Path, Path]) -> None:
    wrong = replace(job(None), data=Call(int, "x"))  # type: ignore[arg-type]

    with pytest.raises(Interrupted) as caught:
        child.build(wrong, *folders, STEPS.append)

    assert caught.value.problem.startswith("ValueError: invalid literal for int()")
    assert caught.value.problem.endswith("; please report it with the model")


def test_the_child_ends_with_its_parent(job: MakeJob, folders: tuple[Path, Path]) -> None:
    sleeping = job(Call(time.sleep, 300.0))
    program = (
        "from pathlib import Path; from snooze.convert import child; from snooze.convert.build import Job;"
        "from snooze.convert.options import Options;"
        f"job = Job({str(sleeping.source)!r}, 'm', None, None, None, Options(trust=True));"
        f"child.build(job, Path({str(folders[0])!r}), Path({str(folders[1])!r}), lambda step: print(step, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=child_environment(), stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "reading the model\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        (started,) = children.read_text().split()
        parent.send_signal(signal.SIGKILL)

    end = time.monotonic() + 60
    while Path(f"/proc/{started}/cmdline").exists() and Path(f"/proc/{started}/cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.05)

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from snooze.bundle.contract import Session
from snooze.bundle.evidence import Memory, MemorySteps
from snooze.convert import Converted, profile
from snooze.convert.checks.cases import Case, rows_case
from snooze.convert.errors import Interrupted

pytestmark = [pytest.mark.process, pytest.mark.framework]
SESSION = Session("model.onnx", "all", 1, "loop")


@pytest.fixture
def request_of_6() -> Case:
    return rows_case({"features": np.ones((6, 30), np.float32)})


def test_measures_in_fresh_processes(tumour: Converted, request_of_6: Case, tmp_path: Path) -> None:
    found = profile.measure(tumour.folder, tumour.bundle.session, request_of_6, tmp_path)

    assert [run.rows for run in found.run] == [1, 2, 4]
    assert all(0 < run.seconds < 1 and run.spread >= 0 and 0 < run.cpu_seconds < 1 for run in found.run)
    peaks = [step.peak for step in found.memory]
    assert peaks == sorted(peaks)
    assert found.memory.interpreter.resident < found.memory.imported.resident
    assert found.model_bytes == (tumour.folder / "model.onnx").stat().st_size
    assert min(found.session_seconds, found.session_cpu_seconds, found.interpreter_seconds) > 0
    assert found.cpu


def test_says_why_a_process_failed(request_of_6: Case, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"hello")

    with pytest.raises(Interrupted) as caught:
        profile.measure(tmp_path, SESSION, request_of_6, tmp_path)

    assert str(caught.value).startswith("measuring the profile did not finish: onnxruntime.")
    assert "\n" not in str(caught.value)


def test_a_case_without_rows_is_one_row(save_onnx: Callable[..., Path], tmp_path: Path) -> None:
    case = Case({"text": np.array(["a", "b"], object), "x": np.array(2.0, np.float32)}, {"text": None, "x": None})
    nodes = [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Identity", ["text"], ["same"])]
    save_onnx(
        nodes,
        {"text": ("s", [None]), "x": ("f", [])},
        {"y": ("f", []), "same": ("s", [None])},
        name=SESSION.file,
    )

    assert [run.rows for run in profile.measure(tmp_path, SESSION, case, tmp_path).run] == [1]


def test_ends_a_process_that_takes_too_long(
    request_of_6: Case, tumour: Converted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "MAX_SECONDS", 0.01)

    with pytest.raises(Interrupted, match=r"measuring the profile did not finish: it took more than 0 s"):
        profile.measure(tumour.folder, SESSION, request_of_6, tmp_path)


def test_each_figure_is_the_median_of_the_processes(
    request_of_6: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(seconds: float) -> dict[str, Any]:
        return {
            "memory": {step: dict.fromkeys(Memory._fields, int(seconds)) for step in MemorySteps._fields},
            "run": {"1": {"walls": [seconds, seconds + 4], "cpu_seconds": seconds}},
            **dict.fromkeys(("session_seconds", "session_cpu_seconds", "interpreter_seconds"), seconds),
        }

    processes = iter([figures(3), figures(100), figures(5)])
    monkeypatch.setattr(profile, "PROCESSES", 3)
    monkeypatch.setattr(profile, "_probe", lambda *_: next(processes))

    found = profile.measure(tmp_path, SESSION, request_of_6, tmp_path)

    assert (found.run[0].seconds, found.run[0].cpu_seconds) == (7.0, 5.0)
    assert found.memory.runs == Memory(5, 5, 5)
    assert found.interpreter_seconds == 5.0


@pytest.mark.parametrize(
    ("text", "name"),
    [("processor: 0\nmodel name\t: Fast One\n", "Fast One"), ("CPU part: 0xd0c\n", os.uname().machine)],
)
def test_names_the_cpu(monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: text)

    assert profile.cpu_name() == name

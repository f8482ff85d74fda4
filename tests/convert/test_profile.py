import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle import Session
from snooze.convert import Converted, probe, profile
from snooze.convert.checks.cases import Rows
from snooze.convert.errors import Interrupted

MakeRows = Callable[..., Rows]


@pytest.fixture
def rows(matrix: MakeRows) -> dict[str, Any]:
    return matrix(np.ones((3, 30), np.float32)).inputs


def test_measures_in_fresh_processes(tumour: Converted, rows: dict[str, Any], tmp_path: Path) -> None:
    found = profile.measure(tumour.folder, tumour.bundle.session, rows, 6, tmp_path)

    assert [run.rows for run in found.run] == [1, 2, 4]
    assert all(0 < run.seconds < 1 and run.spread >= 0 and 0 < run.cpu_seconds < 1 for run in found.run)
    assert set(found.memory) == {*profile.STEPS, "model_bytes"}
    peaks = [found.memory[step]["peak"] for step in profile.STEPS]
    assert peaks == sorted(peaks)
    assert found.memory["interpreter"]["resident"] < found.memory["imported"]["resident"]
    assert found.memory["model_bytes"] == (tumour.folder / "model.onnx").stat().st_size
    assert set(found.more) == {"session_seconds", "session_cpu_seconds", "interpreter_seconds"}
    assert found.cpu


def test_tells_why_a_process_failed(rows: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"hello")

    with pytest.raises(Interrupted) as caught:
        profile.measure(tmp_path, Session(), rows, 1, tmp_path)

    assert str(caught.value).startswith("measuring the profile did not finish: onnxruntime.")
    assert "\n" not in str(caught.value)


def test_gives_up_on_a_process_that_hangs(
    rows: dict[str, Any], tumour: Converted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "MOST_SECONDS", 0.01)

    with pytest.raises(Interrupted, match=r"measuring the profile did not finish: it took more than 0 s"):
        profile.measure(tumour.folder, Session(), rows, 1, tmp_path)


def test_each_figure_is_the_median_of_the_processes(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(seconds: float) -> dict[str, Any]:
        return {
            "memory": {step: {"peak": int(seconds)} for step in profile.STEPS},
            "run": {"1": {"walls": [seconds, seconds + 4], "cpu_seconds": seconds}},
            **dict.fromkeys(("session_seconds", "session_cpu_seconds", "interpreter_seconds"), seconds),
        }

    processes = iter([figures(3), figures(100), figures(5)])
    monkeypatch.setattr(profile, "PROCESSES", 3)
    monkeypatch.setattr(profile, "_probe", lambda *_: next(processes))

    found = profile.measure(tmp_path, Session(), rows, 1, tmp_path)

    assert (found.run[0].seconds, found.run[0].cpu_seconds) == (7.0, 5.0)
    assert found.memory["runs"] == {"peak": 5}
    assert found.more["interpreter_seconds"] == 5.0


def test_names_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", lambda *_: "processor: 0\nmodel name\t: Fast One\n")
    assert profile.cpu_name() == "Fast One"
    monkeypatch.setattr(Path, "read_text", unreadable)
    assert profile.cpu_name()


def test_the_probe_imports_nothing_but_what_it_measures(
    tumour: Converted, rows: dict[str, Any], tmp_path: Path
) -> None:
    np.savez(tmp_path / "rows.npz", allow_pickle=False, **rows)
    arguments = [str(tumour.folder / "model.onnx"), "none", "1", str(tmp_path / "rows.npz"), "1,2", "0.001"]
    program = (
        "import sys; from snooze.convert import probe; probe.main(sys.argv[1:]); "
        "print(); print(sorted(name for name in sys.modules if name.startswith('snooze.')))"
    )

    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)

    figures, modules = done.stdout.splitlines()
    assert modules == "['snooze.convert', 'snooze.convert.probe']"
    assert set(json.loads(figures)["run"]) == {"1", "2"}


def test_the_probe_measures_three_runs_at_least() -> None:
    calls: list[int] = []

    found = probe.sample(lambda: calls.append(1), 0.0)

    assert len(found["walls"]) == len(calls) == 3


def test_the_probe_stops_where_runs_become_long(
    tumour: Converted,
    rows: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(tmp_path / "rows.npz", allow_pickle=False, **rows)
    monkeypatch.setattr(probe, "LONG", 0.0)

    probe.main([str(tumour.folder / "model.onnx"), "all", "1", str(tmp_path / "rows.npz"), "1,2", "0"])

    figures = json.loads(capsys.readouterr().out)
    assert list(figures["run"]) == ["1"]
    assert figures["memory"]["one_row"] == figures["memory"]["runs"]


def test_the_probe_measures_a_fixed_piece_of_work() -> None:
    assert 0 < probe.interpreter_seconds() < 10

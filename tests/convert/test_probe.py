import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snooze.convert import Converted, probe

pytestmark = [pytest.mark.process, pytest.mark.framework]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(tmp_path / "rows.npz", allow_pickle=False, **{"0/features": np.ones((3, 30), np.float32)})
    return tmp_path / "rows.npz"


def test_imports_nothing_but_what_it_measures(tumour: Converted, inputs: Path) -> None:
    arguments = [str(tumour.folder / "model.onnx"), "none", "1", str(inputs), "1,2", "0.001"]
    program = (
        "import sys; from snooze.convert import probe; probe.main(sys.argv[1:]); "
        "print(); print(sorted(name for name in sys.modules if name.startswith('snooze.')))"
    )

    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)

    figures, modules = done.stdout.splitlines()
    packages = "'snooze.bundle', 'snooze.bundle.contract', 'snooze.bundle.names', 'snooze.bundle.session'"
    assert modules == f"[{packages}, 'snooze.convert', 'snooze.convert.probe']"
    assert set(json.loads(figures)["run"]) == {"1", "2"}


def test_measures_at_least_three_runs() -> None:
    calls: list[int] = []

    found = probe.sample(lambda: calls.append(1), 0.0)

    assert len(found["walls"]) == len(calls) == 3


def test_stops_if_runs_become_long(
    tumour: Converted, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "LONG_RUN", 0.0)

    probe.main([str(tumour.folder / "model.onnx"), "all", "1", str(inputs), "1,2", "0"])

    figures = json.loads(capsys.readouterr().out)
    assert list(figures["run"]) == ["1"]
    assert figures["memory"]["one_row"] == figures["memory"]["runs"]


def test_measures_a_fixed_piece_of_work() -> None:
    assert 0 < probe.interpreter_seconds() < 10

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from snooze.benchmarks.errors import NotConverted
from snooze.benchmarks.models import ROWS, SHAPES, build, convert, convert_all
from snooze.benchmarks.peers.candidates import Golden


@pytest.mark.parametrize(("name", "classes"), [("tabular", 2), ("mlp", 6), ("convnet", 10)])
def test_the_scores_of_each_row_depend_on_it_and_sum_to_one(name: str, classes: int) -> None:
    session = onnxruntime.InferenceSession(build(name))
    rows = np.random.default_rng(3).standard_normal((ROWS, *SHAPES[name])).astype(np.float32)

    scores = session.run(["probabilities"], {"input": rows})[0]

    assert scores.shape == (ROWS, classes)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert len(np.unique(scores[:, 0])) > ROWS / 2


@pytest.mark.process
def test_the_command_converts_them(tmp_path: Path) -> None:
    folder = convert("tabular", tmp_path)

    golden = Golden.of(folder, rows=32)
    assert [one.name for one in golden.bundle.outputs] == ["label", "probabilities"]
    assert golden.sample.inputs["input"].shape == (32, 30)


@pytest.mark.process
def test_repeats_why_a_model_was_not_converted(tmp_path: Path) -> None:
    (tmp_path / "mlp").touch()

    with pytest.raises(NotConverted) as caught:
        convert("mlp", tmp_path)

    assert caught.value.model == "mlp"
    assert str(tmp_path) in caught.value.problem


def test_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(NotConverted, match=r"pip install 'snooze\[onnx\]'"):
        convert_all(tmp_path)


def test_makes_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[Any] = []

    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)

    assert convert_all(tmp_path) == {name: tmp_path / name for name in ("tabular", "mlp", "convnet")}
    assert len(commands) == 3

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from snooze.bundle.contract import Tolerance
from snooze.bundle.names import is_model_name
from snooze.cli import main
from snooze.convert import attempts
from snooze.convert.checks.cases import Case
from snooze.convert.cli import derive_name
from snooze.convert.frameworks.interface import Original

pytestmark = [pytest.mark.framework, pytest.mark.process]

Data = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture
def folder(pipeline: Any, cancer: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a saved model and rows, to work in."""
    joblib.dump(pipeline, tmp_path / "tumour.joblib")
    joblib.dump(LogisticRegression(), tmp_path / "unfitted.joblib")
    rows, labels = cancer
    np.savez(tmp_path / "rows.npz", features=rows, y=labels)
    np.savez(tmp_path / "narrow.npz", features=rows[:, :29])
    (tmp_path / "text.joblib").write_text("hello")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_converts_and_prints_the_overview(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["convert", "tumour.joblib", "--trust", "--name", "tumour", "--target", "models", "--data", "rows.npz"])

    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    assert captured.out.startswith("tumour, version 1\n")
    assert captured.out.endswith("report: models/tumour/1/report.html\n")
    assert (folder / "models/tumour/1/bundle.json").is_file()


def test_prints_one_json_document_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "convert tumour.joblib --trust --name tumour --target models --labels malignant,benign --json"

    code = main(command.split())

    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (code, captured.err) == (0, "")
    assert document["folder"] == "models/tumour/1"
    assert document["report"] == "models/tumour/1/report.html"
    assert document["bundle"]["labels"] == ["malignant", "benign"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("tumour.joblib", "snooze: tumour.joblib: reading it runs the code in it;"),
        ("no.joblib --trust", "snooze: no.joblib: does not exist"),
        ("text.joblib --trust", "snooze: text.joblib: cannot be read: "),
        ("rows.npz", "snooze: rows.npz: is not a model that can be read;"),
        (". --trust", "snooze: .: is a folder without a model; expected"),
        ("unfitted.joblib --trust", "snooze: the LogisticRegression is not fitted; call fit on it"),
        (
            "tumour.joblib --trust --data narrow.npz",
            "snooze: narrow.npz: input 'features' has shape [any, 30], got ",
        ),
        ("tumour.joblib --trust --labels a,a", "snooze: --labels: expected different names, got 'a,a'"),
        (
            "tumour.joblib --trust --target=",
            "snooze: --target: expected a folder, got an empty text; the current folder",
        ),
        ("tumour.joblib --trust --rows 1000", "snooze: --rows: expected 1 to 64 rows a request, got 1000"),
    ],
)
def test_wrong_input_ends_with_2_and_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, problem: str
) -> None:
    code = main(["convert", "--name", "tumour", "--target", "models", *arguments.split()])

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith(problem)
    assert captured.err.count("\n") == 1
    assert not (folder / "models").exists()
    assert not (folder / "tumour").exists()


def test_a_failed_check_ends_with_1(
    folder: Path, cancer: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(original: Original, outputs: Sequence[Case], trees: bool) -> dict[str, Tolerance]:
        return dict.fromkeys(outputs[0].tensors, Tolerance())

    monkeypatch.setattr(attempts, "tolerances", none)
    rows, labels = cancer
    joblib.dump(Ridge().fit(rows[:50], labels[:50]), folder / "ridge.joblib")

    code = main(["convert", "ridge.joblib", "--trust", "--name", "tumour", "--target", "models", "--data", "rows.npz"])

    captured = capsys.readouterr()
    assert (code, captured.out) == (1, "")
    assert captured.err.startswith("snooze: parity check failed: converted in single precision, the Ridge")
    assert captured.err.endswith("and do that step elsewhere\n")
    assert captured.err.count("\n") == 1
    assert not (folder / "models").exists()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/tumour.skops", "tumour"),
        ("saved_model/", "saved_model"),
        ("My model (final) v1.2.keras", "My-model-final-v1.2"),
        ("größe.onnx", "gr-e"),
        ("_.onnx", "model"),
        (f"{'a' * 120}.onnx", "a" * 100),
        ("/", "model"),
    ],
)
def test_a_name_is_derived_from_the_file(source: str, name: str) -> None:
    assert derive_name(source) == name
    assert is_model_name(name)


def test_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "--help"])

    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert text.count("snooze convert ") >= 3
    assert "Exit codes: 0 done, 1 a check failed, 2 the input or the usage is wrong." in text


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import argparse, sys; from snooze.convert.cli import convert_arguments; "
        "convert_arguments(argparse.ArgumentParser()); "
        "print([name for name in ('numpy', 'onnx', 'onnxruntime', 'sklearn', 'keras') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_ctrl_c_ends_without_a_message_and_leaves_nothing_behind(folder: Path) -> None:
    command = ["convert", "tumour.joblib", "--trust", "--name", "tumour", "--target", "models"]
    with subprocess.Popen(
        [sys.executable, "-m", "snooze.cli", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 300
        while not (folder / "models").exists():  # it has begun to write
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=300)

    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not (folder / "models").exists()

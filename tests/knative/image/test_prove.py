"""The proof with the server of this environment; `test_build.py` has it in an image."""

import os
import sys
from pathlib import Path

import onnxruntime
import pytest

from snooze.knative.image import prove, sample

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def python_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin/python").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    sample.write(Path(onnxruntime.__file__).with_name("datasets") / sample.MODEL, tmp_path / "models/1")
    return tmp_path / "models"


def test_serves_the_sample(models: Path) -> None:
    assert prove.main("sample", str(models)) is None


def test_without_models_there_is_nothing_to_prove(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()

    assert prove.main("models", str(tmp_path / "models")) is None


def test_a_model_that_does_not_give_its_golden_samples_is_not_proved(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (models / "1" / sample.MODEL).write_bytes(b"damaged")

    error = prove.main("models", str(models))

    assert error == f"snooze: the image does not serve {models}: the server has ended; its message is above"
    assert sample.MODEL in capfd.readouterr().err


def test_an_answer_other_than_200_is_not_proved(models: Path) -> None:
    with prove.Server(str(models)) as server, pytest.raises(prove.NotProved, match="GET /nothing: expected 200"):
        server.ask("GET", "/nothing")


def test_a_server_that_ends_with_an_error_is_not_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin/python").write_text("#!/bin/sh\ntrap 'exit 3' TERM\nwhile :; do sleep 0.05; done\n")

    with pytest.raises(prove.NotProved, match="exit code"), prove.Server(str(tmp_path)):
        pass


def test_a_broken_library_of_an_adapter_is_not_proved(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "LIBRARIES", ("snooze.no_such_module",))

    assert str(prove.main("sample", str(models))).endswith("No module named 'snooze.no_such_module'")

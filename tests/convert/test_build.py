import time
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import read_evidence
from snooze.convert import build as module
from snooze.convert.build import Job, build
from snooze.convert.options import Options

pytestmark = [pytest.mark.framework, pytest.mark.process]


def test_writes_the_files_of_a_bundle_and_returns_its_contract(pipeline: Any, tmp_path: Path) -> None:
    folder, work = tmp_path / "draft", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    steps: list[str] = []

    bundle = build(Job(pipeline, "tumour", None, None, None, Options()), folder, work, steps.append)

    assert (bundle.name, bundle.task, bundle.source.file) == ("tumour", "classification", None)
    assert {"model.onnx", "samples.npz", "report.html"} <= {path.name for path in folder.iterdir()}
    assert read_evidence(bundle).data == "synthetic"
    assert steps[0] == "reading the model"


def test_a_task_that_the_model_does_not_have_is_refused(pipeline: Any, tmp_path: Path) -> None:
    job = Job(pipeline, "tumour", None, None, None, Options(task="regression"))

    with pytest.raises(InvalidOption, match="--task: the Pipeline is trained for classification"):
        build(job, tmp_path, tmp_path, lambda step: None)


def test_a_slow_model_is_asked_fewer_drawn_rows(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = type(pipeline).predict

    def slowly(model: Any, rows: Any) -> Any:
        time.sleep(0.01 * len(rows))
        return predict(model, rows)

    monkeypatch.setattr(type(pipeline), "predict", slowly)
    monkeypatch.setattr(module, "DRAWN_SECONDS", 1.0)
    monkeypatch.setattr(module, "_examine", lambda original, data, *_: pytest.fail(f"{len(data)} rows"))

    with pytest.raises(pytest.fail.Exception) as caught:
        build(Job(pipeline, "tumour", None, None, None, Options()), tmp_path, tmp_path, lambda step: None)

    assert 24 <= int(str(caught.value).split()[0]) <= 100

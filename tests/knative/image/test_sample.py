from pathlib import Path

import onnxruntime

from snooze.bundle.store import find
from snooze.knative.image import sample
from snooze.service.runtime.repository import check, load, prove

MODEL = Path(onnxruntime.__file__).with_name("datasets") / sample.MODEL


def test_is_a_bundle_whose_golden_samples_hold(tmp_path: Path) -> None:
    sample.write(MODEL, tmp_path / "1")

    repository = load(find(tmp_path / "1"), 1)
    prove(repository, lambda phase: None)
    check(repository, "all")

    assert [(entry.name, entry.version) for entry in repository.entries] == [("sample", 1)]

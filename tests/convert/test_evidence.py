from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.evidence import read_evidence, read_profile
from snooze.bundle.samples import matches, read_samples
from snooze.bundle.store import read, verify
from snooze.convert import Converted, attempts, convert
from snooze.convert.runner import Runner

pytestmark = [pytest.mark.framework, pytest.mark.process]


def test_the_bundle_serves_what_it_promises(tumour: Converted) -> None:
    bundle = read(tumour.folder)
    verify(tumour.folder, bundle)
    runner = Runner(tumour.folder / bundle.session.file, bundle.session.optimization)
    for sample in read_samples(tumour.folder, bundle):
        outputs = runner.run(dict(sample.inputs))
        for name, golden in sample.outputs.items():
            assert matches(outputs[name], golden, bundle.tolerance[name])
    assert sorted(path.name for path in tumour.folder.iterdir()) == [
        "bundle.json",
        "model.onnx",
        "report.html",
        "samples.npz",
    ]


def test_the_bundle_states_its_signature_and_source(tumour: Converted) -> None:
    bundle = tumour.bundle

    assert (bundle.name, bundle.version, bundle.task) == ("tumour", 1, "classification")
    assert [(one.name, one.datatype, one.shape) for one in bundle.inputs] == [("features", "FP32", (-1, 30))]
    assert [(one.name, one.datatype, one.shape, one.role) for one in bundle.outputs] == [
        ("label", "INT64", (-1,), "label"),
        ("probabilities", "FP32", (-1, 2), "scores"),
    ]
    assert bundle.labels == ("malignant", "benign")
    assert bundle.batching is not None
    assert (bundle.batching.axis, bundle.batching.max_rows) == (0, 64)
    assert bundle.source.command == "snooze convert tumour.joblib --name tumour"


def test_the_bundle_carries_its_evidence(tumour: Converted) -> None:
    found, profile = read_evidence(tumour.bundle), read_profile(tumour.bundle)

    assert (found.data, found.chosen) == ("labelled", "fp32")
    assert (found.parity.data.rows, found.parity.data.flips, found.parity.verdict) == (169, 0, "agrees")
    assert found.parity.data.worst < 1e-5
    assert found.evaluation is not None
    assert (found.evaluation.metric, found.evaluation.rows) == ("accuracy", 169)
    assert found.evaluation.before == found.evaluation.after > 0.9
    assert (found.statistics["features"].rows, len(found.statistics["features"].columns)) == (169, 30)
    assert [one.chosen for one in found.variants].count(True) == 1
    assert [run.rows for run in profile.run] == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(("samples", "shown"), [("real", "given"), ("synthetic", "drawn")])
def test_real_rows_stay_out_of_the_bundle_if_wanted(
    pipeline: Any, cancer: Any, tmp_path: Path, samples: Any, shown: str
) -> None:
    rows, _ = cancer
    converted = convert(pipeline, name="tumour", target=tmp_path, data=rows[:60], samples=samples, quantize="none")

    real = {row.tobytes() for row in rows.astype(np.float32)}
    golden = [row for one in read_samples(converted.folder, converted.bundle) for row in one.inputs["features"]]
    assert len(golden) == 8
    assert any(row.tobytes() in real for row in golden) == (samples == "real")
    assert read_evidence(converted.bundle).samples == shown
    assert read_evidence(converted.bundle).data == "given"


def test_rows_that_the_original_answers_differently_among_copies_are_no_golden_samples(
    pipeline: Any, cancer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parity = attempts.check_parity

    def check(*arguments: Any) -> Any:
        found, problem = parity(*arguments)
        return found._replace(edges_refused=(attempts.UNSTEADY,)), problem

    monkeypatch.setattr(attempts, "check_parity", check)

    converted = convert(pipeline, name="tumour", target=tmp_path, data=cancer[0][:60], quantize="none")

    samples = read_samples(converted.folder, converted.bundle)
    assert sum(len(one.inputs["features"]) for one in samples) == 6

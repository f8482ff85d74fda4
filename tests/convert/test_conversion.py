import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snooze.bundle.draft import Draft
from snooze.bundle.errors import BundleError, InvalidData, InvalidOption
from snooze.bundle.evidence import read_evidence
from snooze.convert import build, convert
from snooze.convert.errors import Unfitted
from snooze.convert.quantization import candidates

pytestmark = [pytest.mark.framework, pytest.mark.process]

Data = tuple[NDArray[Any], NDArray[Any]]


def test_a_network_is_served_in_8_bits_if_that_is_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.neural_network import MLPClassifier

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    rows = (generator.standard_normal((400, 64)) + 2 * labels[:, None]).astype(np.float32)
    model = MLPClassifier((128,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training stops early
        model.fit(rows, labels)
    # How much faster it is depends on the machine; what follows from that does not.
    monkeypatch.setattr(
        candidates, "run_seconds", lambda calls: {name: 3e-5 if name == "fp32" else 1e-5 for name in calls}
    )

    bundle = convert(model, name="m", target=tmp_path, data=rows, y=labels, max_drop=5, max_flips=5).bundle

    evidence = read_evidence(bundle)
    assert evidence.chosen.startswith("int8")
    chosen = next(one for one in evidence.candidates if one.verdict == "chosen")
    assert chosen.speedup == pytest.approx(3)
    assert evidence.parity.served is not None
    assert evidence.parity.data.worst < 1e-5 < evidence.parity.served.worst
    assert evidence.evaluation is not None
    assert evidence.evaluation.rows == 150
    assert bundle.tolerance["probabilities"].rtol == 0.05


@pytest.mark.parametrize("name", ["GammaRegressor", "PoissonRegressor", "TweedieRegressor"])
def test_a_failing_candidate_does_not_end_the_conversion(tmp_path: Path, name: str) -> None:
    from sklearn import datasets, linear_model

    rows, values = datasets.load_diabetes(return_X_y=True)
    model = getattr(linear_model, name)().fit(rows[:300], values[:300])

    evidence = read_evidence(convert(model, name="m", target=tmp_path, data=rows).bundle)

    assert (evidence.data, evidence.evaluation) == ("given", None)
    failed = [one for one in evidence.candidates if one.reason.startswith("it fails: ")]
    assert {one.verdict for one in failed} == {"refused"}


def test_without_data_rows_are_drawn(pipeline: Any, tmp_path: Path) -> None:
    steps: list[str] = []
    touches: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft, "touch", lambda draft: touches.append(draft.folder))
        converted = convert(pipeline, name="tumour", target=tmp_path, progress=steps.append, quantize="none")

    evidence = read_evidence(converted.bundle)
    assert (evidence.data, evidence.evaluation, evidence.statistics) == ("synthetic", None, {})
    assert evidence.parity.data.rows == 512
    assert evidence.candidates[1].reason == "turned off by --quantize none"
    assert converted.bundle.labels == ("0", "1")
    assert steps == [
        "reading the model",
        "converting, and comparing 512 rows with the original",
        "trying 8-bit candidates",
        "measuring the forms in which the model can be served",
        "checking what will be served, and measuring it in fresh processes",
    ]
    assert len(touches) == len(steps)


def test_a_regressor_is_scored_by_r_squared(cancer: Data, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    rows = cancer[0]
    model = LinearRegression().fit(rows[:, :5], rows[:, 6])

    bundle = convert(model, name="area", target=tmp_path, data=rows[:, :5], y=rows[:, 6]).bundle

    assert (bundle.task, bundle.labels) == ("regression", None)
    evaluation = read_evidence(bundle).evaluation
    assert evaluation is not None
    assert evaluation.metric == "R²"
    assert evaluation.before == pytest.approx(evaluation.after, abs=1e-6)


def test_string_labels_go_into_the_bundle(cancer: Data, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    rows, labels = cancer
    names = np.array(["malignant", "gutartig ü"])[labels]
    model = LogisticRegression().fit(rows[:, :3], names)

    bundle = convert(model, name="tumour", target=tmp_path, data=rows[:60, :3], y=names[:60]).bundle

    assert bundle.labels == ("gutartig ü", "malignant")
    assert bundle.outputs[0].datatype == "BYTES"
    assert read_evidence(bundle).data == "labelled"


@pytest.mark.parametrize(
    ("given", "error", "problem"),
    [
        ({"data": np.zeros((3, 29))}, InvalidData, "input 'features' has shape"),
        ({"data": np.full((3, 30), np.nan)}, InvalidData, "Pipeline does not accept them: Input X contains NaN"),
        ({"data": np.zeros((3, 30)), "y": [0, 1, 2]}, InvalidData, "expected one of the classes 0, 1, got 2"),
        ({"labels": ("a",)}, InvalidOption, "--labels: expected 2 names"),
        ({"y": [1]}, InvalidOption, "--label: labels need their rows; add --data"),
        ({"label": "kind"}, InvalidOption, "--label: labels need their rows; add --data"),
        ({"max_drop": -1}, InvalidOption, "--max-drop: expected points, 0 or more, got -1"),
        ({"name": "../x"}, BundleError, "name"),
        ({"target": ""}, InvalidOption, "--target: expected a folder"),
    ],
)
def test_wrong_input_leaves_nothing_behind(
    pipeline: Any, empty_target: Path, given: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        convert(pipeline, **{"name": "tumour", "target": empty_target, **given})


def test_an_unfitted_model_leaves_nothing_behind(empty_target: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(Unfitted):
        convert(LogisticRegression(), name="tumour", target=empty_target)


@pytest.mark.parametrize("step", ["_examine", "draw_data", "write_bundle"])
def test_an_interrupt_leaves_nothing_behind(
    pipeline: Any, empty_target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if step == "write_bundle":
        monkeypatch.setattr(build, "_examine", lambda *_: None)
        monkeypatch.setattr(build, "describe", lambda *_: None)
    monkeypatch.setattr(build, step, interrupt)

    with pytest.raises(KeyboardInterrupt):
        convert(pipeline, name="tumour", target=empty_target)

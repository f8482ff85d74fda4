import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.knative.bundles import a_bundle
from tests.knative.rollout.judging.conftest import publish

from snooze.bundle.contract import Batching, Bundle, Tensor
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidData
from snooze.bundle.samples import Sample, write_samples
from snooze.bundle.store import Found, latest
from snooze.client.exchange import Payload
from snooze.knative.rollout.judging.questions import MAX_ROWS, golden_questions, path_of, read_questions


def rows(payloads: list[Payload]) -> list[Any]:
    return [row for payload in payloads for row in json.loads(payload.body)["rows"]]


def write(folder: Path, bundle: Bundle, sample: Sample) -> Found:
    """Write a bundle whose model is never loaded."""
    with Draft(folder / "models", bundle.name) as draft:
        (draft.folder / "model.onnx").write_bytes(b"never loaded")
        write_samples(draft.folder / "samples.npz", [sample])
        draft.publish(bundle)
    return latest(folder / "models")


def test_golden_samples_are_asked_as_users_ask(versions: list[Found]) -> None:
    path, (question,) = golden_questions(versions[0])

    assert path == "/models/tumour/predict"
    assert len(rows([question])) == 8


def test_a_model_name_is_quoted() -> None:
    assert path_of("a/b") == "/models/a%2Fb/predict"


def test_a_sample_that_json_cannot_hold_is_left_out(tmp_path: Path) -> None:
    features = np.full((2, 30), np.nan, np.float32)
    sample = Sample({"features": features}, {"probabilities": np.zeros((2, 2), np.float32)})

    assert golden_questions(write(tmp_path, a_bundle(), sample))[1] == []


def test_a_model_whose_rows_are_not_the_first_dimension_has_no_questions(tmp_path: Path) -> None:
    bundle = a_bundle()._replace(
        inputs=(Tensor("features", "FP32", (3, -1)),),
        outputs=(Tensor("probabilities", "FP32", (2, -1), "scores"),),
        batching=Batching(axis=1, max_rows=8),
    )
    sample = Sample({"features": np.zeros((3, 4), np.float32)}, {"probabilities": np.zeros((2, 4), np.float32)})

    assert golden_questions(write(tmp_path, bundle, sample))[1] == []


def test_rows_of_a_file_become_small_requests(tmp_path: Path) -> None:
    bundle = publish(tmp_path / "models", 1, 1.0, batching=Batching(0, 64)).bundle
    file = tmp_path / "rows.csv"
    file.write_text("a,b,c,d,y\n" + "1,2,3,4,x\n" * 20)

    questions = read_questions(file, "y", bundle)

    assert [len(rows([one])) for one in questions] == [8, 8, 4]
    assert rows(questions) == [[1.0, 2.0, 3.0, 4.0]] * 20


def test_a_model_that_is_not_batched_is_asked_row_by_row(tmp_path: Path) -> None:
    bundle = publish(tmp_path / "models", 1, 1.0).bundle
    np.save(tmp_path / "rows.npy", np.zeros((3, 4), np.float32))

    assert [len(rows([one])) for one in read_questions(tmp_path / "rows.npy", None, bundle)] == [1, 1, 1]


def test_a_long_file_is_asked_only_in_part(tmp_path: Path) -> None:
    bundle = publish(tmp_path / "models", 1, 1.0, batching=Batching(0, 64)).bundle
    np.save(tmp_path / "rows.npy", np.zeros((MAX_ROWS + 500, 4), np.float32))

    assert len(rows(read_questions(tmp_path / "rows.npy", None, bundle))) == MAX_ROWS


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    bundle = publish(tmp_path / "models", 1, 1.0).bundle
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    np.save(tmp_path / "none.npy", np.zeros((0, 4), np.float32))

    for file in ("rows.csv", "none.npy", "missing.csv"):
        with pytest.raises(InvalidData):
            read_questions(tmp_path / file, None, bundle)

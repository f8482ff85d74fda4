import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.knative.bundles import a_bundle
from tests.knative.rollout.judging.conftest import publish
from tests.service.conftest import Client, picture, publish_each_adapter

from snooze.bundle.contract import Batching, Bundle, Tensor
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidData
from snooze.bundle.samples import Sample, write_samples
from snooze.bundle.store import Found, latest
from snooze.client.exchange import Payload
from snooze.knative.rollout.judging.questions import MAX_ROWS, golden_questions, path_of, read_questions
from snooze.service import Settings, create_app


def rows(payloads: list[Payload]) -> list[Any]:
    return [row for payload in payloads for row in json.loads(payload.body)["rows"]]


def write(folder: Path, bundle: Bundle, sample: Sample) -> Found:
    """Write a bundle whose model is never loaded."""
    with Draft(folder / "models", bundle.name) as draft:
        (draft.folder / "model.onnx").write_bytes(b"never loaded")
        write_samples(draft.folder / "samples.npz", [sample])
        draft.publish(bundle)
    return latest(folder / "models")


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model of each kind of adapter."""
    root = tmp_path_factory.mktemp("adapters")
    publish_each_adapter(root)
    return root


def ask(repository: Path, model: str, questions: list[Payload]) -> list[int]:
    """Return the number of predictions in each answer of our server."""
    client = Client(create_app(Settings(models=(repository,), log="off")))
    counts = []
    for question in questions:
        answer = client.ask("POST", path_of(model), question.body, content_type=question.headers["Content-Type"])
        assert answer.status == 200, answer.body
        counts.append(len(answer.json()["predictions"]))
    return counts


@pytest.mark.parametrize(
    ("model", "counts"), [("colours", [1, 1, 1]), ("patient", [3]), ("words", [3]), ("clean", [3])]
)
def test_golden_samples_of_adapters_are_asked_as_raw_rows(adapters: Path, model: str, counts: list[int]) -> None:
    path, questions = golden_questions(latest(adapters / model))

    assert path == path_of(model)
    assert ask(adapters, model, questions) == counts


@pytest.mark.parametrize(
    ("model", "name", "content", "counts"),
    [
        ("patient", "rows.csv", "age,weight,note,sick\n31,,good,no\n" + "40,2,bad,yes\n" * 9, [8, 2]),
        ("patient", "rows.json", '[{"age": 31, "weight": null, "note": "good", "sick": "no"}]', [1]),
        ("words", "rows.csv", "text,sick\nJa,no\nNein,yes\n", [2]),
        ("clean", "one.txt", "Ja", [1]),
        ("words", "rows.csv", '"a text\nof two lines",x\n' * 9, [8, 1]),
    ],
)
def test_rows_of_a_file_are_asked_as_the_adapter_takes_them(
    adapters: Path, tmp_path: Path, model: str, name: str, content: str, counts: list[int]
) -> None:
    bundle = latest(adapters / model).bundle._replace(batching=Batching(0, 64))
    (tmp_path / name).write_text(content if "sick" in content or name == "one.txt" else f"text,sick\n{content}")

    questions = read_questions(tmp_path / name, None if name == "one.txt" else "sick", bundle)

    assert ask(adapters, model, questions) == counts


def test_pictures_of_a_folder_are_asked_one_by_one(adapters: Path, tmp_path: Path) -> None:
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0)]):
        (tmp_path / f"{number}.png").write_bytes(picture(colour))

    questions = read_questions(tmp_path, None, latest(adapters / "colours").bundle)

    assert ask(adapters, "colours", questions) == [1, 1]


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

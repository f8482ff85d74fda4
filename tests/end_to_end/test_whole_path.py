"""One model from training to answers, over every way to ask for them: each is what the estimator itself says."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from snooze.convert import convert

http = pytest.importorskip("tritonclient.http")

SNOOZE = [sys.executable, "-m", "snooze.cli"]
NAMES = ("malignant", "benign")
RTOL, ATOL = 1e-4, 1e-5


class Trained:
    """Data, and two models trained on different halves of it: their answers differ."""

    def __init__(self) -> None:
        rows, self.classes = load_breast_cancer(return_X_y=True)
        self.rows: NDArray[np.float32] = rows.astype(np.float32)
        self.first, self.second = self._fitted(0), self._fitted(1)

    def _fitted(self, half: int) -> Pipeline:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return model.fit(self.rows[half::2], self.classes[half::2])


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained()


@pytest.fixture(scope="module")
def repository(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first model as version 1."""
    folder = tmp_path_factory.mktemp("whole") / "models"
    publish(trained.first, trained, folder)
    return folder


@pytest.fixture(scope="module")
def url(repository: Path) -> Iterator[str]:
    with serving(repository) as url:
        yield url


def publish(model: Pipeline, trained: Trained, folder: Path) -> int:
    data = {"features": trained.rows, "y": trained.classes}
    return convert(model, name="tumour", target=folder, data=data, labels=NAMES).bundle.version


@contextmanager
def serving(repository: Path) -> Iterator[str]:
    """Run `snooze serve` on a free port, and yield its URL."""
    log = repository.parent / "server.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([*SNOOZE, "serve", str(repository), "--port", "0"], stderr=stderr)
    try:
        end = time.monotonic() + 20
        while not (found := re.search(r"serving .* on (http://\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield found[1]
    finally:
        process.terminate()
        assert process.wait(20) == 0


def ask(url: str, document: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(document).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def assert_same(model: Pipeline, rows: NDArray[Any], labels: Any, probabilities: Any) -> None:
    """The answers for all rows are the estimator's own, each label exactly."""
    np.testing.assert_array_equal(labels, model.predict(rows))
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), RTOL, ATOL)


def assert_predicted(model: Pipeline, rows: NDArray[Any], predictions: list[dict[str, Any]]) -> None:
    labels = [NAMES.index(one["label"]) for one in predictions]
    probabilities = [[one["probabilities"][name] for name in NAMES] for one in predictions]
    assert_same(model, rows, labels, probabilities)
    confidences = [one["confidence"] for one in predictions]
    np.testing.assert_allclose(confidences, model.predict_proba(rows).max(1), RTOL, ATOL)


def triton(url: str, rows: NDArray[np.float32], version: str = "", binary: bool = True) -> tuple[Any, Any, str]:
    """Return labels, probabilities and the version that answered, by the unmodified client of Triton."""
    client = http.InferenceServerClient(url.removeprefix("http://"))
    try:
        tensor = http.InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
        answer = client.infer("tumour", [tensor], model_version=version, outputs=wanted)
        return answer.as_numpy("label"), answer.as_numpy("probabilities"), answer.get_response()["model_version"]
    finally:
        client.close()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_the_estimators_answers(url: str, trained: Trained, binary: bool) -> None:
    labels, probabilities, version = triton(url, trained.rows, binary=binary)
    assert version == "1"
    assert_same(trained.first, trained.rows, labels, probabilities)


def test_one_row_at_a_time_gives_what_all_at_once_give(url: str, trained: Trained) -> None:
    for row in trained.rows[:20]:
        labels, probabilities, _ = triton(url, row[None])
        assert_same(trained.first, row[None], labels, probabilities)


@pytest.mark.parametrize("path", ["/predict", "/models/tumour/predict", "/models/tumour/versions/1/predict"])
def test_the_plain_protocol_names_the_classes(url: str, trained: Trained, path: str) -> None:
    answer = ask(url + path, {"rows": trained.rows.tolist()})
    assert (answer["model"], answer["version"]) == ("tumour", 1)
    assert_predicted(trained.first, trained.rows, answer["predictions"])


@pytest.mark.parametrize("kind", [".npy", ".npz", ".csv", ".json"])
def test_the_command_predicts_by_the_server_and_by_the_bundle_itself(
    url: str, repository: Path, trained: Trained, tmp_path: Path, kind: str
) -> None:
    rows, file = trained.rows, tmp_path / f"rows{kind}"
    if kind == ".npy":
        np.save(file, rows)
    elif kind == ".npz":
        np.savez(file, features=rows, y=trained.classes)
    elif kind == ".csv":
        np.savetxt(file, rows, delimiter=",", header=",".join(f"c{i}" for i in range(30)), comments="", fmt="%.9g")
    else:
        file.write_text(json.dumps({"rows": rows.tolist()}))
    environ = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    for target in (url, str(repository / "tumour")):
        command = [*SNOOZE, "predict", target, "--data", str(file), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert_predicted(trained.first, rows, json.loads(done.stdout)["predictions"])


def test_after_a_restart_both_versions_answer_and_the_highest_is_the_default(
    repository: Path, url: str, trained: Trained
) -> None:
    """The server that runs already stays with what it has loaded."""
    assert publish(trained.second, trained, repository) == 2
    assert not np.array_equal(trained.first.predict_proba(trained.rows), trained.second.predict_proba(trained.rows))
    with serving(repository) as restarted:
        for version, answered, model in (
            ("", "2", trained.second),
            ("1", "1", trained.first),
            ("2", "2", trained.second),
        ):
            labels, probabilities, said = triton(restarted, trained.rows, version)
            assert said == answered
            assert_same(model, trained.rows, labels, probabilities)
        assert_predicted(
            trained.second, trained.rows, ask(f"{restarted}/predict", trained.rows.tolist())["predictions"]
        )
        older = ask(f"{restarted}/models/tumour/versions/1/predict", trained.rows.tolist())
        assert older["version"] == 1
        assert_predicted(trained.first, trained.rows, older["predictions"])
    assert triton(url, trained.rows)[2] == "1"

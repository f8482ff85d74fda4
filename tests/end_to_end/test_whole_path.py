"""One model from training to answers, over every way to ask for them: each is what the estimator itself says."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http
from numpy.typing import NDArray
from tests.end_to_end.conftest import CLASS_NAMES, Trained
from tests.end_to_end.servers import SNOOZE, Server, serve

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

pytestmark = [pytest.mark.process, pytest.mark.framework]

RTOL, ATOL = 1e-4, 1e-5


def assert_same(model: "Pipeline", rows: NDArray[Any], labels: Any, probabilities: Any) -> None:
    """The answers for all rows are the estimator's own, each label exactly."""
    np.testing.assert_array_equal(labels, model.predict(rows))
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), RTOL, ATOL)


def assert_predicted(model: "Pipeline", rows: NDArray[Any], predictions: list[dict[str, Any]]) -> None:
    labels = [CLASS_NAMES.index(one["label"]) for one in predictions]
    probabilities = [[one["probabilities"][name] for name in CLASS_NAMES] for one in predictions]
    assert_same(model, rows, labels, probabilities)
    confidences = [one["confidence"] for one in predictions]
    np.testing.assert_allclose(confidences, model.predict_proba(rows).max(1), RTOL, ATOL)


def triton(url: str, rows: NDArray[np.float32], version: str = "", binary: bool = True) -> tuple[Any, Any, str]:
    """Return labels, probabilities and the version that answered, by the unmodified client of Triton."""
    client = tritonclient.http.InferenceServerClient(url.removeprefix("http://"))
    try:
        tensor = tritonclient.http.InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        wanted = [
            tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")
        ]
        answer = client.infer("tumour", [tensor], model_version=version, outputs=wanted)
        return answer.as_numpy("label"), answer.as_numpy("probabilities"), answer.get_response()["model_version"]
    finally:
        client.close()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_the_estimators_answers(server: Server, trained: Trained, binary: bool) -> None:
    labels, probabilities, version = triton(server.url, trained.rows, binary=binary)
    assert version == "1"
    assert_same(trained.first, trained.rows, labels, probabilities)


def test_one_row_at_a_time_gives_what_all_at_once_give(server: Server, trained: Trained) -> None:
    for row in trained.rows[:20]:
        labels, probabilities, _ = triton(server.url, row[None])
        assert_same(trained.first, row[None], labels, probabilities)


@pytest.mark.parametrize("path", ["/predict", "/models/tumour/predict", "/models/tumour/versions/1/predict"])
def test_the_plain_protocol_names_the_classes(server: Server, trained: Trained, path: str) -> None:
    answer = server.post(path, {"rows": trained.rows.tolist()})
    assert (answer["model"], answer["version"]) == ("tumour", 1)
    assert_predicted(trained.first, trained.rows, answer["predictions"])


@pytest.mark.parametrize("kind", [".npz", ".csv"])
def test_the_command_predicts_from_a_server_and_from_the_bundle_itself(
    server: Server, repository: Path, trained: Trained, tmp_path: Path, kind: str
) -> None:
    rows, file = trained.rows, tmp_path / f"rows{kind}"
    if kind == ".npz":
        np.savez(file, features=rows, y=trained.classes)
    else:
        np.savetxt(file, rows, delimiter=",", header=",".join(f"c{i}" for i in range(30)), comments="", fmt="%.9g")
    for target in (server.url, str(repository / "tumour")):
        command = [*SNOOZE, "predict", target, "--data", str(file), "--json"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert_predicted(trained.first, rows, json.loads(answer.stdout)["predictions"])


def test_after_a_restart_both_versions_answer_and_the_highest_is_the_default(
    repository: Path, trained: Trained, tmp_path: Path
) -> None:
    """The server that runs already keeps what it has loaded."""
    models = Path(shutil.copytree(repository, tmp_path / "models"))
    with serve(models) as running:
        assert trained.convert(trained.second, models) == 2
        assert triton(running.url, trained.rows)[2] == "1"
    with serve(models) as restarted:
        for asked, answered, model in (
            ("", "2", trained.second),
            ("1", "1", trained.first),
            ("2", "2", trained.second),
        ):
            labels, probabilities, version = triton(restarted.url, trained.rows, asked)
            assert version == answered
            assert_same(model, trained.rows, labels, probabilities)
        rows = trained.rows.tolist()
        assert_predicted(trained.second, trained.rows, restarted.post("/predict", rows)["predictions"])
        older = restarted.post("/models/tumour/versions/1/predict", rows)
        assert older["version"] == 1
        assert_predicted(trained.first, trained.rows, older["predictions"])

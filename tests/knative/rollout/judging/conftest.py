"""Two versions of a small model, real servers of them, and a stand-in for kubectl."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.conftest import CLASSES, FEATURES, _contract, _model
from tests.client.conftest import serve
from tests.end_to_end.servers import serve as run_server

from snooze.bundle.draft import Draft
from snooze.bundle.samples import Sample, write_samples
from snooze.bundle.store import Found, latest
from snooze.knative.rollout.live import Target

__all__ = ["serve"]  # a stand-in for servers: what they answer is set by each test

OLD, NEW = "tumour-v1-aaaaaa", "tumour-v2-bbbbbb"
# Answers from a file: the objects of `get pods,revisions`, and where the metrics of each pod really are.
KUBECTL = """\
#!{python}
import json, re, sys, urllib.request
state = json.load(open({state!r}))
if "--raw" in sys.argv:
    name, port = re.fullmatch(r"/api/v1/namespaces/judge/pods/([^:]+):(\\d+)/proxy/metrics", sys.argv[5]).groups()
    url = state["metrics"].get(name, "Error from server (ServiceUnavailable): the server is currently unable")
    if not url.startswith("http"):
        sys.exit(url)
    sys.stdout.write(urllib.request.urlopen(url + "/metrics").read().decode())
elif state["objects"] is None:
    sys.exit("Error from server (Forbidden): pods is forbidden: User \\"x\\" cannot list resource \\"pods\\"")
else:
    json.dump({{"items": state["objects"]}}, sys.stdout)
"""


class Kubectl:
    """A stand-in for kubectl on the PATH: it reads metrics from local servers, and the objects are made up."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / "state.json"
        self.objects: list[Any] | None = []
        self.metrics: dict[str, str] = {}  # by pod: the server's URL, or the message of an error
        program = folder / "kubectl"
        program.write_text(KUBECTL.format(python=sys.executable, state=str(self._state)))
        program.chmod(0o755)
        self.save()

    def save(self) -> None:
        """Let the next call see the changed attributes."""
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps({"objects": self.objects, "metrics": self.metrics}))
        new.replace(self._state)

    def show(self, *objects: Any, **metrics: str) -> None:
        """Set the objects, and where the metrics of the pods are, whose names are written with _ instead of -."""
        self.objects = list(objects)
        self.metrics = {name.replace("_", "-"): url for name, url in metrics.items()}
        self.save()


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Kubectl(tmp_path)


def a_pod(name: str, revision: str, phase: str = "Running", **status: Any) -> dict[str, Any]:
    """Return a pod as the cluster describes it; `status` is that of the server's container."""
    server = {"name": "user-container", "restartCount": 0, "state": {"running": {}}, **status}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"serving.knative.dev/revision": revision}},
        "spec": {
            "containers": [
                {"name": "queue-proxy", "ports": [{"containerPort": 8012}]},
                {"name": "user-container", "ports": [{"containerPort": 8080}]},
            ]
        },
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if phase == "Running" else "False"}],
            "containerStatuses": [{"name": "queue-proxy", "restartCount": 0, "state": {"running": {}}}, server],
        },
    }


def a_revision(name: str = NEW, /, **conditions: tuple[str, str, str]) -> dict[str, Any]:
    """Return a revision; a condition is its status, its reason and its message."""
    given = {"Ready": ("True", "", ""), **conditions}
    return {
        "kind": "Revision",
        "metadata": {"name": name, "labels": {"serving.knative.dev/service": "tumour"}},
        "status": {
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message}
                for kind, (status, reason, message) in given.items()
            ]
        },
    }


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Two versions of `tumour`, each in its own repository; they disagree on the label of one of eight rows."""
    folder = tmp_path_factory.mktemp("versions")
    return [publish(folder / str(version), version, 1.0 if version == 1 else 0.6) for version in (1, 2)]


def publish(repository: Path, version: int, slope: float, **changes: Any) -> Found:
    """Write a version of `tumour`: softmax of four features times a matrix, whose last column depends on `slope`."""
    weights = np.linspace(-1, 1, FEATURES * CLASSES, dtype=np.float32).reshape(FEATURES, CLASSES)
    weights[:, -1] *= np.float32(slope)
    features = np.random.default_rng(1).standard_normal((8, FEATURES)).astype(np.float32)
    powers = np.exp(features @ weights)
    scores = powers / powers.sum(axis=1, keepdims=True)
    (repository / "tumour").mkdir(parents=True)
    for number in range(1, version):
        (repository / "tumour" / str(number)).mkdir()
    with Draft(repository, "tumour") as draft:
        (draft.folder / "model.onnx").write_bytes(_model(weights))
        outputs = {"label": scores.argmax(axis=1), "probabilities": scores}
        write_samples(draft.folder / "samples.npz", [Sample({"features": features}, outputs)])
        draft.publish(_contract()._replace(**changes))
    return latest(repository / "tumour")


@pytest.fixture(scope="session")
def urls(versions: list[Found]) -> Iterator[list[str]]:
    """The URLs of a real server of each version."""
    with ExitStack() as stack:
        yield [stack.enter_context(run_server(found.folder)).url for found in versions]


@pytest.fixture
def targets(urls: list[str]) -> tuple[Target, Target]:
    """The old and the new revision, as if these servers were behind their tags."""
    old, new = urls
    return Target(OLD, 95, "v1-aaaaaa", old), Target(NEW, 5, "v2-bbbbbb", new)

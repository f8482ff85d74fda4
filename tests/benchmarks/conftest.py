"""A server of the protocol with known faults, and small bundles."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.knative.bundles import a_bundle

from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import running
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.draft import Draft
from snooze.bundle.samples import Sample, write_samples

DOUBLE = Path(__file__).with_name("v2_double.py")
FEATURES, CLASSES, ROWS = 4, 3, 8


@dataclass(frozen=True)
class Server:
    """A running process and where it listens."""

    url: str
    pid: int


@pytest.fixture(scope="session")
def double() -> Iterator[Server]:
    """A stand-in for a server: the model `tumour` answers, the others fail as their names say."""
    with subprocess.Popen([sys.executable, str(DOUBLE)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle: softmax of four features times a matrix, with its label."""
    weights = np.linspace(-1, 1, FEATURES * CLASSES, dtype=np.float32).reshape(FEATURES, CLASSES)
    features = np.random.default_rng(1).standard_normal((ROWS, FEATURES)).astype(np.float32)
    powers = np.exp(features @ weights)
    scores = powers / powers.sum(axis=1, keepdims=True)
    with Draft(tmp_path_factory.mktemp("models"), "tumour") as draft:
        (draft.folder / "model.onnx").write_bytes(_model(weights))
        outputs = {"label": scores.argmax(axis=1), "probabilities": scores}
        write_samples(draft.folder / "samples.npz", [Sample({"features": features}, outputs)])
        return draft.publish(_contract())


@pytest.fixture(scope="session")
def snooze_server(bundle: Path) -> Iterator[Server]:
    """A real Snooze server with that bundle."""
    golden = Golden.of(bundle)
    with running(snooze(golden), golden) as server:
        yield Server(f"http://127.0.0.1:{server.port}", server.pid)


@pytest.fixture(scope="session")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle whose input is pictures."""
    return _publish_pictures(tmp_path_factory.mktemp("models"), -1)


@pytest.fixture(scope="session")
def fixed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle whose input is one picture."""
    return _publish_pictures(tmp_path_factory.mktemp("models"), 1)


def _publish_pictures(repository: Path, rows: int) -> Path:
    """Write a bundle whose model is never loaded, so its file holds no ONNX."""
    pixels = np.zeros((1, 2, 2, 1), np.float32)
    tensor = Tensor("picture", "FP32", (rows, 2, 2, 1))
    with Draft(repository, "digits") as draft:
        (draft.folder / "model.onnx").write_bytes(b"never loaded")
        write_samples(draft.folder / "samples.npz", [Sample({"picture": pixels}, {"same": pixels})])
        contract = _contract()._replace(
            name="digits",
            inputs=(tensor,),
            outputs=(tensor._replace(name="same"),),
            tolerance={"same": Tolerance(exact=True)},
            task="transform",
            labels=None,
        )
        return draft.publish(contract)


def _model(weights: np.ndarray) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
        ],
        "tumour",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, FEATURES])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, CLASSES]),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    return bytes(model.SerializeToString())


def _contract() -> Bundle:
    return a_bundle()._replace(
        name="tumour",
        inputs=(Tensor("features", "FP32", (-1, FEATURES)),),
        outputs=(
            Tensor("label", "INT64", (-1,), "label"),
            Tensor("probabilities", "FP32", (-1, CLASSES), "scores"),
        ),
        tolerance={"label": Tolerance(exact=True), "probabilities": Tolerance(rtol=1e-4, atol=1e-5)},
        files={},
        task="classification",
        labels=("a", "b", "c"),
    )

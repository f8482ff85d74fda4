"""A server of the protocol whose behaviour is known, and a small bundle: what the benchmarks are tried on."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from snooze.bundle import (
    Bundle,
    Draft,
    Evidence,
    Profile,
    Run,
    Samples,
    Session,
    Source,
    Tensor,
    Tolerance,
    write_samples,
)

DOUBLE = Path(__file__).with_name("v2_double.py")
FEATURES, CLASSES, ROWS = 4, 3, 8


@dataclass(frozen=True)
class Server:
    """A running process and where it listens."""

    url: str
    pid: int


@pytest.fixture(scope="session")
def double() -> Iterator[Server]:
    """A test double of a server: the model `tumour` answers, others misbehave as their names say."""
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
        write_samples(draft.folder / "samples.npz", Samples({"features": features}, outputs))
        return draft.publish(_contract())


@pytest.fixture(scope="session")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle whose input is a picture. Nobody loads its model, so there is none in the file."""
    pixels = np.zeros((1, 2, 2, 1), np.float32)
    tensor = Tensor("picture", "FP32", (-1, 2, 2, 1))
    with Draft(tmp_path_factory.mktemp("models"), "digits") as draft:
        (draft.folder / "model.onnx").write_bytes(b"never loaded")
        write_samples(draft.folder / "samples.npz", Samples({"picture": pixels}, {"same": pixels}))
        same = replace(tensor, name="same")
        tolerance = {"same": Tolerance(exact=True)}
        contract = replace(_contract(), name="digits", inputs=(tensor,), outputs=(same,), tolerance=tolerance)
        return draft.publish(replace(contract, task="transform", labels=None))


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
    return Bundle(
        name="tumour",
        version=1,
        created="2026-11-21T00:00:00Z",
        source=Source("by hand", "1"),
        inputs=(Tensor("features", "FP32", (-1, FEATURES)),),
        outputs=(
            Tensor("label", "INT64", (-1,), "label"),
            Tensor("probabilities", "FP32", (-1, CLASSES), "scores"),
        ),
        session=Session(),
        tolerance={"label": Tolerance(exact=True), "probabilities": Tolerance(rtol=1e-4, atol=1e-5)},
        evidence=Evidence(data="given"),
        profile=Profile(cpu="by hand", run=(Run(1, 1e-5, 1e-6, 1e-5),)),
        files={},
        task="classification",
        labels=("a", "b", "c"),
    )

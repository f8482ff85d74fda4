"""
The three models that throughput is measured with: tabular (30 floats), mlp (512 floats) and convnet (3 x 32 x 32).

Their weights are drawn, not trained: how long a run takes depends on the graph alone. The graphs are what converters
make of scikit-learn's logistic regression after a scaler, and of a dense and a convolutional network.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.benchmarks.errors import NotConverted
from snooze.benchmarks.progress import show

ROWS: Final = 64
FEATURES: Final = 30
MLP: Final = (512, 256, 256, 6)
CHANNELS: Final = (3, 64, 128, 128)
PIXELS: Final = 32
CLASSES: Final = 10
SHAPES: Final = {"tabular": (FEATURES,), "mlp": MLP[:1], "convnet": (CHANNELS[0], PIXELS, PIXELS)}


def convert_all(repository: Path) -> dict[str, Path]:
    """
    Convert the models with `snooze convert` of this environment and return their folders by name.

    Raises:
        NotConverted: the command failed, or the package onnx is not installed.
    """
    return {name: convert(name, repository) for name in SHAPES}


def convert(name: str, repository: Path) -> Path:
    """Convert one of the models to a bundle in `repository` and return its folder; errors as in `convert_all`."""
    show(f"converting {name}")
    rows = np.random.default_rng(1).standard_normal((ROWS, *SHAPES[name])).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source, data = Path(folder, f"{name}.onnx"), Path(folder, "rows.npz")
        source.write_bytes(build(name))
        np.savez(data, input=rows)
        options = ["--name", name, "--target", str(repository), "--data", str(data), "--quantize", "none"]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "snooze.cli", "convert", str(source), *options],
            capture_output=True, text=True, check=False, env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
        )  # fmt: skip
    if done.returncode:
        raise NotConverted(name, (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return repository / name


def build(name: str) -> bytes:
    """Return one of the models as serialized ONNX, or raise NotConverted where the package onnx is not installed."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError:
        raise NotConverted(name, "'onnx' is not installed; run: pip install 'snooze[onnx]'") from None
    nodes, weights, classes = {"tabular": _tabular, "mlp": _mlp, "convnet": _convnet}[name](helper)
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, classes])]
    if name == "tabular":
        outputs.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, [None]))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, *SHAPES[name]])],
        outputs,
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString())


def _tabular(helper: Any) -> tuple[list[Any], dict[str, Any], int]:
    """Return nodes, weights and classes of a scaler and a logistic regression, as skl2onnx writes them."""
    generator = np.random.default_rng(0)
    coefficients = generator.standard_normal(FEATURES)
    nodes = [
        helper.make_node(
            "Scaler", ["input"], ["scaled"], domain="ai.onnx.ml",
            offset=generator.standard_normal(FEATURES).tolist(), scale=generator.uniform(0.5, 2, FEATURES).tolist(),
        ),
        helper.make_node(
            "LinearClassifier", ["scaled"], ["label", "scores"], domain="ai.onnx.ml", post_transform="LOGISTIC",
            classlabels_ints=[0, 1], coefficients=[*(-coefficients), *coefficients], intercepts=[-0.1, 0.1],
        ),
        helper.make_node("Normalizer", ["scores"], ["probabilities"], domain="ai.onnx.ml", norm="L1"),
    ]  # fmt: skip
    return nodes, {}, 2


def _mlp(helper: Any) -> tuple[list[Any], dict[str, Any], int]:
    """Return nodes, weights and classes of dense layers."""
    nodes, weights = _dense(helper, MLP, "input")
    return nodes, weights, MLP[-1]


def _convnet(helper: Any) -> tuple[list[Any], dict[str, Any], int]:
    """Return nodes, weights and classes of three convolutions, each with its pooling, and a dense layer."""
    generator = np.random.default_rng(0)
    nodes, weights, tensor = [], {}, "input"
    for layer, (come, go) in enumerate(pairwise(CHANNELS)):
        kernel = generator.standard_normal((go, come, 3, 3)) * np.sqrt(2 / (9 * come))
        weights[f"kernel{layer}"] = kernel.astype(np.float32)
        pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
        nodes += [
            helper.make_node("Conv", [tensor, f"kernel{layer}"], [f"conv{layer}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"conv{layer}"], [f"positive{layer}"]),
            helper.make_node("MaxPool", [f"positive{layer}"], [f"pooled{layer}"], **pool),
        ]
        tensor = f"pooled{layer}"
    nodes += [
        helper.make_node("GlobalAveragePool", [tensor], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
    ]
    dense_nodes, dense_weights = _dense(helper, (CHANNELS[-1], CLASSES), "flat")
    return nodes + dense_nodes, weights | dense_weights, CLASSES


def _dense(helper: Any, sizes: Sequence[int], tensor: str) -> tuple[list[Any], dict[str, Any]]:
    """Return nodes and weights of dense layers with ReLU between them and softmax behind the last."""
    generator = np.random.default_rng(2)
    nodes, weights = [], {}
    for layer, (come, go) in enumerate(pairwise(sizes)):
        if layer:
            nodes.append(helper.make_node("Relu", [tensor], [f"{tensor}_positive"]))
            tensor = f"{tensor}_positive"
        weights[f"weights{layer}"] = (generator.standard_normal((come, go)) * np.sqrt(2 / come)).astype(np.float32)
        weights[f"bias{layer}"] = np.zeros(go, np.float32)
        nodes.append(helper.make_node("Gemm", [tensor, f"weights{layer}", f"bias{layer}"], [f"dense{layer}"]))
        tensor = f"dense{layer}"
    return [*nodes, helper.make_node("Softmax", [tensor], ["probabilities"], axis=1)], weights

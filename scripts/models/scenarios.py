"""
The bundles that tests/cluster brings to a cluster: good versions of a model, bad ones, and one whose runs take long.

    python -m scripts.models.scenarios REPOSITORY

All versions of `tumour` have the same signature, so that any of them can follow another in a rollout:

    1   a logistic regression
    2   the same, trained on nine rows of ten: a good new version
    3   trained on exchanged labels: every answer is wrong
    4   answers as version 1 does, 200 ms of work later
    5   answers as version 1 does, but takes 1 GiB for a row with a large first feature: the pod is killed
    6   version 1 with golden samples that it does not reproduce: never ready

`patient` works for as many seconds as its input says, in an ONNX Loop, and answers with them. Version 2 has a golden
sample that takes 4 s, to warm up and to check: it is ready late.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.samples import Sample, read_samples, write_samples
from snooze.bundle.store import read, sha256
from snooze.convert import convert

SLOW_SECONDS: Final = 0.2
LATE_SECONDS: Final = 4.0
LARGE_RADIUS: Final = 20.0  # of a tumour, the first feature; 36 of 569 rows have more
HUNGER: Final = 2**28  # floats, 1 GiB
WIDTH: Final = 64  # of the matrix that a pass of the Loop multiplies
CALIBRATION_PASSES: Final = 20_000

Floats = NDArray[np.float32]
Data = tuple[Floats, NDArray[np.int64]]


def main(repository: Path) -> None:
    """Make all bundles below `repository`, which must not exist yet."""
    rows, classes = tumours()
    benign = rows[:, 0] < LARGE_RADIUS
    passes = calibrate()
    first = make_tumour(repository, rows, classes, range(len(rows)))
    make_tumour(repository, rows, classes, [index for index in range(len(rows)) if index % 10])
    make_tumour(repository, rows, 1 - classes, range(len(rows)))
    change_graph(first, lambda graph: work_longer(graph, round(passes * SLOW_SECONDS)), (rows, classes))
    change_graph(first, take_memory, (rows[benign], classes[benign]))
    change_samples(first, 6, lambda sample: Sample(sample.inputs, {k: 1 - v for k, v in sample.outputs.items()}))
    patient = make_patient(repository, passes)
    late = np.full((1, 1), LATE_SECONDS, np.float32)
    change_samples(patient, 2, lambda _: Sample({"seconds": late}, {"answer": late}))


def tumours() -> Data:
    """Return scikit-learn's breast cancer data: features (569, 30) and classes (569,)."""
    from sklearn.datasets import load_breast_cancer

    rows, classes = load_breast_cancer(return_X_y=True)
    return rows.astype(np.float32), classes.astype(np.int64)


def make_tumour(repository: Path, rows: Floats, classes: NDArray[np.int64], used: Any) -> Path:
    """Train on the rows `used` and convert; return the bundle's folder. Its score is that of all rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows[used], classes[used])
    return convert(model, name="tumour", target=repository, data={"features": rows, "y": classes}).folder


def change_graph(first: Path, change: Callable[[Any], None], data: Data) -> None:
    """Convert the graph of a bundle, after a change, to the next version of its model."""
    import onnx

    model = onnx.load(first / "model.onnx")
    change(model.graph)
    changed = first.parent.with_suffix(".onnx")
    onnx.save(model, changed)
    convert(changed, name="tumour", target=first.parents[1], data={"features": data[0], "y": data[1]}, quantize="none")
    changed.unlink()


def change_samples(bundle: Path, version: int, change: Callable[[Sample], Sample]) -> None:
    """Copy a bundle to another version of its model, with one other golden sample."""
    copy = shutil.copytree(bundle, bundle.with_name(str(version)))
    contract = json.loads((copy / "bundle.json").read_text())
    write_samples(copy / "samples.npz", [change(read_samples(bundle, read(bundle))[0])])
    contract["version"] = version
    contract["files"]["samples.npz"] = f"sha256:{sha256(copy / 'samples.npz').removeprefix('sha256:')}"
    (copy / "bundle.json").write_text(json.dumps(contract))


def work_longer(graph: Any, passes: int) -> None:
    """Add a Loop to a tumour's graph, and nothing to its probabilities."""
    from onnx import helper, numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.array(passes), "passes"))
    _add_nothing(
        graph, [helper.make_node("ReduceMax", ["features"], ["largest"], keepdims=0), *_loop(graph, "largest")]
    )


def take_memory(graph: Any) -> None:
    """Let a tumour's graph take 1 GiB for a large first feature, and add nothing to its probabilities."""
    from onnx import helper, numpy_helper

    for name, value in (
        ("column", np.array([0])),
        ("large", np.array(LARGE_RADIUS, np.float32)),
        ("hunger", np.array(HUNGER)),
        ("one", np.array([1])),
    ):
        graph.initializer.append(numpy_helper.from_array(value, name))
    node = helper.make_node
    _add_nothing(graph, [
        node("Gather", ["features", "column"], ["radii"], axis=1),
        node("ReduceMax", ["radii"], ["radius"], keepdims=0),
        node("Greater", ["radius", "large"], ["is_large"]),
        node("Cast", ["is_large"], ["factor"], to=7),
        node("Mul", ["hunger", "factor"], ["wanted"]),
        node("Add", ["wanted", "one"], ["size"]),
        node("ConstantOfShape", ["size"], ["memory"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        node("ReduceMax", ["memory"], ["worked"], keepdims=0),
    ])  # fmt: skip


def make_patient(repository: Path, passes: float) -> Path:
    """Convert the model that works for as many seconds as its input says; return the bundle's folder."""
    import onnx

    source = repository / "patient.onnx"
    onnx.save(build_patient(passes), source)
    rows = np.linspace(0.01, 0.02, 64, dtype=np.float32)[:, np.newaxis]
    made = convert(source, name="patient", target=repository, data={"seconds": rows}, quantize="none")
    source.unlink()
    return made.folder


def calibrate() -> float:
    """Return the passes of the Loop that this machine does in a second, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(build_patient(CALIBRATION_PASSES).SerializeToString(), options)
    begun = time.perf_counter()
    session.run(None, {"seconds": np.ones((1, 1), np.float32)})
    return CALIBRATION_PASSES / (time.perf_counter() - begun)


def build_patient(passes: float) -> Any:
    """Return an ONNX model with a Loop of `passes` for each second of its largest input."""
    from onnx import TensorProto, helper, numpy_helper

    shape = [None, 1]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["seconds"], ["longest"], keepdims=0),
            helper.make_node("Mul", ["longest", "rate"], ["all"]),
            helper.make_node("Cast", ["all"], ["passes"], to=TensorProto.INT64),
        ],
        "patient",
        [helper.make_tensor_value_info("seconds", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(passes, np.float32), "rate")],
    )
    graph.node.extend(_loop(graph, "longest"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    graph.node.append(helper.make_node("Mul", ["worked", "nothing"], ["zero"]))
    graph.node.append(helper.make_node("Add", ["seconds", "zero"], ["answer"]))
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])


def _loop(graph: Any, begin: str) -> list[Any]:
    """Return the nodes of a Loop of `passes` matrix products; it begins with a number and ends with one, `worked`."""
    from onnx import TensorProto, helper, numpy_helper

    matrix = (np.eye(WIDTH) * 0.5).astype(np.float32)
    for name, value in (("matrix", matrix), ("zeros", np.zeros((WIDTH, WIDTH), np.float32))):
        graph.initializer.append(numpy_helper.from_array(value, name))
    state = [WIDTH, WIDTH]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["going_on"]),
            helper.make_node("MatMul", ["before", "matrix"], ["after"]),
        ],
        "pass",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, state),
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, state),
        ],
    )
    return [
        helper.make_node("Add", ["zeros", begin], ["begin"]),
        helper.make_node("Loop", ["passes", "", "begin"], ["end"], body=body),
        helper.make_node("ReduceMax", ["end"], ["worked"], keepdims=0),
    ]


def _add_nothing(graph: Any, nodes: list[Any]) -> None:
    """Add nodes before all others, and 0 x `worked` to the probabilities."""
    from onnx import helper, numpy_helper

    for node in graph.node:
        node.output[:] = ["undelayed" if name == "probabilities" else name for name in node.output]
        node.input[:] = ["undelayed" if name == "probabilities" else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    late = [
        helper.make_node("Mul", ["worked", "nothing"], ["zero"]),
        helper.make_node("Add", ["undelayed", "zero"], ["probabilities"]),
    ]
    all_nodes = [*nodes, *graph.node, *late]
    del graph.node[:]
    graph.node.extend(all_nodes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the bundles that tests/cluster brings to a cluster.")
    parser.add_argument("repository", type=Path)
    main(parser.parse_args().repository)

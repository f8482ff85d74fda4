"""One model in memory: load it, prove it on this CPU, run it. The only place that imports onnxruntime."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Bundle
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import read, verify
from snooze.service.errors import GoldenMismatch, InvalidRequest, RunFailed, UnusableModel
from snooze.service.tensors import Array, Slot, slot

# ONNX Runtime sends telemetry from its import on, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPES: Final = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


ROUNDING: Final = 1e-4
QUANTIZED: Final = 1 / 255  # an 8-bit score may be off by a step, so a sum of n of them by n steps


class Model:
    """
    A loaded version of a model.

    `proved` is set once it gave its golden outputs, and then `confident`: whether its scores are probabilities.
    """

    def __init__(self, name: str, version: int, folder: Path, bundle: Bundle, session: Any) -> None:
        self.name = name
        self.version = version
        self.folder = folder
        self.bundle = bundle
        self.inputs: dict[str, Slot] = {tensor.name: slot(tensor) for tensor in bundle.inputs}
        self.outputs: dict[str, Slot] = {tensor.name: slot(tensor) for tensor in bundle.outputs}
        self.output_names = list(self.outputs)
        self.version_text = str(version)
        self.infer_path = f"/v2/models/{name}/infer"
        self._first = bundle.inputs[0].name
        self._axis = None if bundle.batching is None else bundle.batching.axis
        self.proved = False
        self.confident = False
        # Past the wrapper, whose checks of names and types are made here already, and cost as much as a small model.
        self._run = getattr(session, "_sess", session).run

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """
        Return the outputs `names` for inputs that fit the signature.

        Raises:
            InvalidRequest: the model does not take these values.
            RunFailed: the run failed for another reason.
        """
        try:
            return self._run(names, feeds, None)  # type: ignore[no-any-return]
        except Exception as error:
            # ONNX Runtime has one class per kind of failure and no base class but this.
            problem = " ".join(str(error).split())[:300]
            if type(error).__name__ == "InvalidArgument":
                raise InvalidRequest(f"model '{self.name}' does not take this input: {problem}") from None
            raise RunFailed(self.name, problem) from None

    def prove(self, samples: Sequence[Sample]) -> None:
        """
        Check that the golden inputs give the golden outputs on this CPU.

        Raises:
            GoldenMismatch: names the first output that is not right, and how far it is off.
        """
        for sample in samples:
            for name, array in zip(self.output_names, self._attempt(sample.inputs), strict=True):
                golden, tolerance = sample.outputs[name], self.bundle.tolerance[name]
                if not matches(array, golden, tolerance):
                    raise GoldenMismatch(self.folder, name, _worst(array, golden))
        self.confident = all(self._gives_probabilities(sample) for sample in samples)
        self.proved = True

    def warm_up(self, samples: Sequence[Sample]) -> None:
        """Run one golden row (all of them where rows cannot be told apart): the first run allocates."""
        self._attempt({name: self._one_row(array) for name, array in samples[0].inputs.items()})

    def rows(self, feeds: Mapping[str, Array]) -> int:
        """Return how many rows a request holds."""
        if self._axis is None:
            return 1
        return int(feeds[self._first].shape[self._axis])

    def samples(self) -> tuple[Sample, ...]:
        """Return the golden samples."""
        return read_samples(self.folder, self.bundle)

    def _gives_probabilities(self, sample: Sample) -> bool:
        """Return whether the golden scores are probabilities, as near as 8-bit arithmetic can say them."""
        for tensor in self.bundle.outputs:
            if tensor.role == "scores":
                scores = sample.outputs[tensor.name]
                table = scores.reshape(len(scores), -1).astype(np.float64)
                classes = table.shape[1]
                off = table.sum(axis=1) - 1 if classes > 1 else np.zeros(1)  # one score speaks for two classes
                between = (table >= -ROUNDING) & (table <= 1 + ROUNDING)
                return bool(between.all() and (np.abs(off) <= QUANTIZED * classes + ROUNDING).all())
        return False

    def _attempt(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return self.run(self.output_names, feeds)
        except (InvalidRequest, RunFailed) as error:
            raise UnusableModel(self.folder, str(error)) from None

    def _one_row(self, array: Array) -> Array:
        batching = self.bundle.batching
        return array if batching is None or batching.axis != 0 else array[:1]


def load(name: str, version: int, folder: Path, processors: int) -> Model:
    """
    Return the model of the bundle in `folder`, its files checked against their hashes, not yet run.

    Imports nothing, so it may run in a thread beside imports.

    Raises:
        BundleError: the bundle is broken.
        UnusableModel: ONNX Runtime cannot load it, or the graph is not what the contract says.
    """
    bundle = read(folder)
    verify(folder, bundle)
    path = folder / bundle.session.file
    session = _session(path, bundle, processors)
    _compare(path, "input", {tensor.name: tensor.datatype for tensor in bundle.inputs}, session.get_inputs())
    _compare(path, "output", {tensor.name: tensor.datatype for tensor in bundle.outputs}, session.get_outputs())
    return Model(name, version, folder, bundle, session)


def _session(path: Path, bundle: Bundle, processors: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, min(bundle.session.intra_op_threads, processors))
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and raised ones are told; the rest is noise
    level = onnxruntime.GraphOptimizationLevel
    none = bundle.session.optimization == "none"
    options.graph_optimization_level = level.ORT_DISABLE_ALL if none else level.ORT_ENABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnusableModel(path, " ".join(str(error).split())[:300]) from None


def _compare(path: Path, side: str, said: Mapping[str, str], found: Sequence[Any]) -> None:
    there = {node.name: TYPES.get(node.type, node.type) for node in found}
    for name, datatype in said.items():
        if there.get(name) != datatype:
            got = there.get(name, f"no such {side}; the graph has {', '.join(there)}")
            raise UnusableModel(path, f"{side} {name!r} should be {datatype}, got {got}")
    if side == "input" and set(there) - set(said):
        raise UnusableModel(path, f"the graph has inputs that the contract does not name: {set(there) - set(said)}")


def _worst(got: Array, golden: Array) -> str:
    if got.shape != golden.shape:
        return f"expected shape {list(golden.shape)}, got {list(got.shape)}"
    if got.dtype.kind not in "fiu":
        return f"{int(np.sum(got != golden))} of {golden.size} values differ"
    difference = np.abs(got.astype(np.float64) - golden.astype(np.float64))
    return f"off by up to {float(np.nanmax(difference)):.6g}"

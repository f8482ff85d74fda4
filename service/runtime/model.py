"""One model in memory: load it, prove it on this CPU, run it. The only place that imports onnxruntime."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.datatypes import ORT_TYPES
from snooze.bundle.errors import InvalidData, InvalidRow, MissingExtra
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.session import session_options
from snooze.bundle.store import served_files, verify
from snooze.service.errors import GoldenMismatch, InvalidRequest, RunFailed, UnusableModel
from snooze.service.protocols.tensors import Array, Signature

if TYPE_CHECKING:
    from snooze.bundle.adapters.interface import Adapter

# ONNX Runtime sends telemetry from its import on, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ROUNDING: Final = 1e-4
QUANTIZATION_STEP: Final = 1 / 255  # an 8-bit score may be off by one step, a sum of n scores by n steps
MAX_PROBLEM: Final = 300


class Model:
    """
    A loaded version of a model.

    `adapter` is set by `load_adapter`, if its bundle has one. `proved` is set once it gave its golden outputs, and then
    `probabilities`: whether its scores are probabilities.
    """

    def __init__(self, folder: Path, bundle: Bundle, session: Any) -> None:
        self.name = bundle.name
        self.version = bundle.version
        self.folder = folder
        self.bundle = bundle
        self.output_names = [tensor.name for tensor in bundle.outputs]
        self.adapter: Adapter | None = None
        self.proved = False
        self.probabilities = False
        self._first = bundle.inputs[0].name
        self._axis = None if bundle.batching is None else bundle.batching.axis
        # The wrapper's checks of names and types are made here already, and cost as much as a small model.
        self._run = getattr(session, "_sess", session).run

    def run(self, names: Sequence[str], feeds: Mapping[str, Array], options: Any = None) -> list[Array]:
        """
        Return the outputs `names` for inputs that fit the signature. `options` are those of `run_options`, if any.

        Raises:
            InvalidRequest: the model does not accept these values.
            RunFailed: the run failed for another reason.
        """
        try:
            return self._run(names, feeds, options)  # type: ignore[no-any-return]
        except Exception as error:
            # ONNX Runtime has a class for each kind of failure, and no base class but this.
            problem = _one_line(error)
            if type(error).__name__ == "InvalidArgument":
                raise InvalidRequest(f"model '{self.name}' does not accept this input: {problem}") from None
            raise RunFailed(self.name, problem) from None

    def run_options(self) -> Any:
        """Return options for one run: to set their `terminate` ends it before its next node begins."""
        import onnxruntime

        return onnxruntime.RunOptions()

    def rows(self, feeds: Mapping[str, Array]) -> int:
        """Return the number of rows of a request."""
        if self._axis is None:
            return 1
        return int(feeds[self._first].shape[self._axis])

    def samples(self) -> tuple[Sample, ...]:
        """Return the golden cases."""
        return read_samples(self.folder, self.bundle)

    def signature(self) -> Signature:
        """Return what the protocols need to know."""
        return Signature(self.bundle, self.probabilities, self.adapter)

    def load_adapter(self, samples: Sequence[Sample]) -> None:
        """
        Load the adapter, if there is one, and check that it makes the golden inputs of the raw rows of the samples.

        Raises:
            UnusableModel: its library is missing, or it refuses a golden row.
            GoldenMismatch: names the first input that differs.
        """
        if self.bundle.adapter is None:
            return
        from snooze.bundle.adapters import registry

        try:
            self.adapter = adapter = registry.load(self.bundle, self.folder)
            assert adapter is not None
            tolerance = Tolerance(atol=adapter.tolerance)
            for sample in samples:
                inputs = {} if sample.raw is None else adapter.apply([adapter.unpack(row) for row in sample.raw])
                for name, array in inputs.items():
                    golden = sample.inputs[name]
                    if not matches(array, golden, tolerance):
                        raise GoldenMismatch(self.folder, name, _describe_difference(array, golden), "input")
        except MissingExtra as error:
            remedy = f"{error}; for an image: --build-arg EXTRAS={error.extra}"
            raise UnusableModel(self.folder, f"its adapter does not work: {remedy}") from None
        except (InvalidData, InvalidRow, ValueError) as error:
            raise UnusableModel(self.folder, f"its adapter does not work: {error}") from None

    def warm_up(self, samples: Sequence[Sample]) -> None:
        """Run one row of the first golden case (all of it where there are no rows): the first run allocates."""
        feeds = samples[0].inputs
        if self._axis is not None:
            feeds = {name: array.take([0], self._axis) for name, array in feeds.items()}
        self._try_to_run(feeds)

    def prove(self, samples: Sequence[Sample]) -> None:
        """
        Check that every golden case gives its golden outputs on this CPU.

        Raises:
            GoldenMismatch: names the first output that differs, and by how much.
            UnusableModel: a run failed.
        """
        for sample in samples:
            for name, array in zip(self.output_names, self._try_to_run(sample.inputs), strict=True):
                golden = sample.outputs[name]
                if not matches(array, golden, self.bundle.tolerance[name]):
                    raise GoldenMismatch(self.folder, name, _describe_difference(array, golden))
        scores = next((tensor.name for tensor in self.bundle.outputs if tensor.role == "scores"), None)
        self.probabilities = scores is not None and all(_are_probabilities(one.outputs[scores]) for one in samples)
        self.proved = True

    def _try_to_run(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return self.run(self.output_names, feeds)
        except (InvalidRequest, RunFailed) as error:
            raise UnusableModel(self.folder, str(error)) from None


def load(folder: Path, bundle: Bundle, processors: int) -> Model:
    """
    Return the model of the bundle in `folder`, its files checked against their hashes, not yet run.

    Imports nothing, so it may run in a thread beside imports.

    Raises:
        BundleError: the bundle is damaged.
        UnusableModel: ONNX Runtime cannot load it, or the graph differs from the contract.
    """
    import onnxruntime

    verify(folder, bundle, served_files(bundle))
    path = folder / bundle.session.file
    threads = max(1, min(bundle.session.intra_op_threads, processors))
    options = session_options(onnxruntime, bundle.session.optimization, threads)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnusableModel(path, _one_line(error)) from None
    _compare(path, "input", bundle.inputs, session.get_inputs())
    _compare(path, "output", bundle.outputs, session.get_outputs())
    return Model(folder, bundle, session)


def _compare(path: Path, side: str, contract: Sequence[Tensor], graph: Sequence[Any]) -> None:
    found: dict[str, str] = {node.name: ORT_TYPES.get(node.type, node.type) for node in graph}
    for tensor in contract:
        got = found.pop(tensor.name, None)
        if got != tensor.datatype:
            available = ", ".join(node.name for node in graph)
            problem = f"got {got}" if got else f"but the graph has no such {side}; available: {available}"
            raise UnusableModel(path, f"expected {side} '{tensor.name}' of datatype {tensor.datatype}, {problem}")
    if side == "input" and found:
        raise UnusableModel(path, f"the graph has inputs that the contract does not list: {', '.join(found)}")


def _are_probabilities(scores: Array) -> bool:
    """Return whether scores are in [0, 1] and sum to 1 in each row, as precisely as 8-bit arithmetic can give them."""
    table = scores.reshape(len(scores), -1).astype(np.float64)
    classes = table.shape[1]
    error = table.sum(axis=1) - 1 if classes > 1 else np.zeros(1)  # one score describes two classes
    within = (table >= -ROUNDING) & (table <= 1 + ROUNDING)
    return bool(within.all() and (np.abs(error) <= QUANTIZATION_STEP * classes + ROUNDING).all())


def _describe_difference(got: Array, golden: Array) -> str:
    if got.shape != golden.shape:
        return f"expected shape {list(golden.shape)}, got {list(got.shape)}"
    if got.dtype.kind not in "fiu":
        return f"{int(np.sum(got != golden))} of {golden.size} values differ"
    difference = np.abs(got.astype(np.float64) - golden.astype(np.float64))
    return f"off by up to {float(np.nanmax(difference)):.6g}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_PROBLEM]

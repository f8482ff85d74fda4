"""Runs a model file with ONNX Runtime, as it will be served: one thread, on the CPU."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from snooze.convert.checks.cases import Array, Arrays, joined
from snooze.convert.errors import MissingExtra

CHUNK: Final = 256


def runtime() -> Any:
    """
    Return the module onnxruntime, with its telemetry off.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # too late once it is imported
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":  # installed but broken: show the real cause
            raise
        raise MissingExtra("onnxruntime", extra="sklearn") from None
    return onnxruntime


class Runner:
    """A loaded model file."""

    def __init__(self, file: Path, optimization: Literal["none", "all"] = "all") -> None:
        ort = runtime()
        self.file = file
        self.session = ort.InferenceSession(str(file), options(optimization), providers=["CPUExecutionProvider"])
        self.dtypes = {value.name: _DTYPES[value.type] for value in self.session.get_inputs()}
        self.names = [value.name for value in self.session.get_outputs()]

    def feed(self, inputs: Arrays) -> Arrays:
        """Return inputs with the datatypes that the model takes: what a request's numbers are turned into."""
        with np.errstate(over="ignore"):  # beyond single precision is infinite, as in a request
            return {name: inputs[name].astype(dtype) for name, dtype in self.dtypes.items()}

    def run(self, inputs: Arrays) -> Arrays:
        """Return the outputs for all rows at once."""
        return self._named(self.session.run(None, self.feed(inputs)))

    def run_all(self, inputs: Arrays, chunk: int = CHUNK) -> Arrays:
        """Return the outputs for any number of rows, a part of them at a time."""
        feed, count = self.feed(inputs), len(next(iter(inputs.values())))
        parts = (
            {name: array[begin : begin + chunk] for name, array in feed.items()} for begin in range(0, count, chunk)
        )
        return joined([self._named(self.session.run(None, part)) for part in parts])

    def call(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs these rows once, for measuring."""
        run, feed = self.session.run, self.feed(inputs)
        return lambda: run(None, feed)

    def _named(self, outputs: list[Array]) -> Arrays:
        return dict(zip(self.names, outputs, strict=True))


def options(optimization: Literal["none", "all"]) -> Any:
    """Return the session options that serving uses."""
    ort = runtime()
    made = ort.SessionOptions()
    made.intra_op_num_threads = 1
    made.inter_op_num_threads = 1
    made.log_severity_level = 3  # warnings of the converter's making are not the user's to act on
    if optimization == "none":
        made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return made


_DTYPES: Final = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}

"""Runs a model file with ONNX Runtime as it will be served: one thread, on the CPU."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snooze.bundle.contract import Optimization
from snooze.bundle.datatypes import DATATYPES, ORT_TYPES
from snooze.bundle.session import session_options
from snooze.convert.checks.cases import Arrays, Case, run_in_parts
from snooze.convert.extras import import_extra


def import_onnxruntime() -> Any:
    """Return the module onnxruntime, with its telemetry off. Raises MissingExtra."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when the module is imported
    return import_extra("onnx", "onnxruntime")


class Runner:
    """A loaded model, from a file or its content. `axes` are those of the outputs' rows, if they are known."""

    def __init__(
        self, file: Path | bytes, optimization: Optimization = "all", axes: Mapping[str, int | None] | None = None
    ) -> None:
        ort = import_onnxruntime()
        options = session_options(ort, optimization)
        source = file if isinstance(file, bytes) else str(file)
        self.session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self.axes = axes
        self.dtypes = {value.name: DATATYPES[ORT_TYPES[value.type]] for value in self.session.get_inputs()}
        self.names = [value.name for value in self.session.get_outputs()]

    def feed(self, tensors: Arrays) -> Arrays:
        """Return inputs in the datatypes of the model, as the server converts a request."""
        with np.errstate(over="ignore"):  # beyond single precision is infinite, as in a request
            return {name: np.asarray(tensors[name], dtype) for name, dtype in self.dtypes.items()}

    def run(self, tensors: Arrays) -> Arrays:
        """Return the outputs of one run."""
        return dict(zip(self.names, self.session.run(None, self.feed(tensors)), strict=True))

    def answer(self, case: Case) -> Case:
        """Return the outputs for a case, run in parts if it has many rows."""
        return run_in_parts(case, self.run, axes=self.axes)

    def answer_all(self, cases: Sequence[Case]) -> list[Case]:
        """Return the outputs for several cases."""
        return [self.answer(case) for case in cases]

    def prepare(self, case: Case) -> Callable[[], object]:
        """Return a function that runs a case once, to measure it."""
        run, feed = self.session.run, self.feed(case.tensors)
        return lambda: run(None, feed)

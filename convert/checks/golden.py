"""Golden samples: a handful of rows and what the served model must answer to them, on whatever CPU it is started."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from snooze.bundle.contract import Tolerance
from snooze.bundle.samples import Sample
from snooze.convert.checks.cases import Array, Arrays, Rows, joined
from snooze.convert.checks.parity import margins
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

ROWS: Final = 6
EDGES: Final = 2
CLEAR: Final = {False: 0.01, True: 0.2}  # by how much a class must win, with weights in fp32 and in int8
LOOSE: Final = 0.05  # int8 sums round differently with other instructions: a twentieth of an output's range


def samples(runner: Runner, original: Original, rows: Rows, edges: Arrays | None, quantized: bool) -> Sample:
    """
    Return some rows, some edge rows among them, and the outputs that `runner` gives for them.

    Rows whose class wins clearly are taken, for only those keep their label on a CPU that rounds differently.
    """
    parts = [_clear(runner, original, rows.inputs, ROWS, quantized)]
    if edges is not None:
        parts.append(_clear(runner, original, edges, EDGES, quantized))
    inputs = runner.feed(joined(parts))
    return Sample(inputs, runner.run(inputs))


def tolerances(parity: Mapping[str, Tolerance], outputs: Mapping[str, Array], quantized: bool) -> dict[str, Tolerance]:
    """Return how near to the golden outputs another CPU must come: as near as to the original, or looser for int8."""
    if not quantized:
        return dict(parity)
    return {name: one if one.exact else _loose(outputs[name]) for name, one in parity.items()}


def _loose(output: Array) -> Tolerance:
    finite = output[np.isfinite(output)]
    return Tolerance(rtol=LOOSE, atol=LOOSE * max(float(np.ptp(finite)) if finite.size else 0.0, 1e-3))


def _clear(runner: Runner, original: Original, inputs: Arrays, count: int, quantized: bool) -> Arrays:
    """Return `count` rows, spread evenly over those whose outputs are finite and whose class wins clearly."""
    outputs = runner.run_all(inputs)
    finite = np.logical_and.reduce(
        [
            np.isfinite(array).reshape(len(array), -1).all(1) if array.dtype.kind == "f" else np.ones(len(array), bool)
            for array in outputs.values()
        ]
    )
    margin = margins(original, outputs)
    clear = finite if margin is None else finite & (margin >= CLEAR[quantized])
    places = np.flatnonzero(clear)
    if len(places) == 0:  # no clear winner anywhere: the clearest
        places = np.argsort(-margin)[:1] if margin is not None else np.arange(1)
    picked = places[np.unique(np.linspace(0, len(places) - 1, count).astype(np.int64))]
    return {name: array[picked] for name, array in inputs.items()}

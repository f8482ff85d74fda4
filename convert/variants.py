"""
Which form of the chosen model is served: as converted or optimized ahead of time, with its weights inside or beside it,
loaded with ONNX Runtime's optimization on or off. Each is measured; how they differ depends on the model.

Ahead means level EXTENDED: the highest that is not bound to this CPU's vector width. A quantized graph as converted is
never loaded with optimization off: it would run unfused, several times slower and with other rounding.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Optimization, Session, Tolerance
from snooze.convert import runner as running
from snooze.convert.checks.cases import Arrays
from snooze.convert.checks.parity import compare
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization.candidates import Limits, Prefer
from snooze.convert.quantization.timing import run_seconds, start_seconds
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner

FILE: Final = "model.onnx"
WEIGHTS: Final = "model.onnx.data"
LEAST_BYTES_BESIDE: Final = 2**20  # below, mapping a second file costs more than it saves
LEAST_BYTES_OF_A_TENSOR: Final = 1024
MOST_SLOWER: Final = 1.05
SHORT_RUN: Final = 0.5e-3  # seconds; a run this short is cheaper than handing it to a thread and back


@dataclass
class Variant:
    """One form of the model in a folder of its own. Seconds of one run and of one start, and the bytes of its files."""

    name: str
    folder: Path
    optimization: Optimization
    figures: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return what the evidence holds."""
        return {"name": self.name, "optimization": self.optimization, **self.figures}


@dataclass(frozen=True)
class Served:
    """The variant to serve, the session that goes with it, and all that were measured."""

    folder: Path
    session: Session
    variants: list[Variant]


def choose(
    file: Path,
    quantized: bool,
    original: Original,
    rows: Arrays,
    tolerance: Mapping[str, Tolerance],
    limits: Limits,
    work: Path,
) -> Served:
    """
    Return the form of the model in `file` that starts soonest among those that run at most 5 % slower than the fastest.

    With a preference for "start" or "size", the one that starts soonest or is smallest, however fast it runs. A form
    that does not answer like the others, to `tolerance`, is left out.
    """
    expected = Runner(file).run(rows)
    variants = []
    for variant in forms(file, quantized, work):
        got = Runner(variant.folder / FILE, variant.optimization).run(rows)
        comparison = compare(original, expected, got, tolerance)
        # The fused form of a quantized graph rounds otherwise: its labels were judged when it was chosen.
        variant.figures["agrees"] = not (comparison.outliers.any() or (comparison.flips.any() and not quantized))
        variants.append(variant)
    agreeing = [variant for variant in variants if variant.figures["agrees"]]
    measure(agreeing, {name: array[np.arange(limits.rows) % len(array)] for name, array in rows.items()})
    best = preferred(agreeing, limits.prefer)
    best.figures["chosen"] = True
    session = Session(
        file=FILE,
        optimization=best.optimization,
        intra_op_threads=1,
        run_in="loop" if best.figures["run_seconds"] < SHORT_RUN else "executor",
    )
    return Served(best.folder, session, variants)


def forms(file: Path, quantized: bool, work: Path) -> Iterator[Variant]:
    """Yield every form of a model that may be served."""
    ahead = optimized(file, work / "ahead.onnx")
    for kind, source in (("as converted", file), ("optimized ahead", ahead)):
        places = {"weights inside": _inside, "weights beside": _beside}
        if weight_bytes(source) < LEAST_BYTES_BESIDE:
            del places["weights beside"]
        for place, write in places.items():
            folder = work / f"{kind}, {place}".replace(" ", "-")
            folder.mkdir()
            write(source, folder)
            if not (quantized and source == file):
                yield Variant(f"{kind}, {place}", folder, "none")
            yield Variant(f"{kind}, {place}", folder, "all")


def optimized(file: Path, made: Path) -> Path:
    """Write the model as ONNX Runtime optimizes it at level EXTENDED, which is the same on every CPU."""
    ort = running.runtime()
    options = running.options("all")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(made)
    with quiet():
        ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return made


def weight_bytes(file: Path) -> int:
    """Return the bytes of the model's weights."""
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    return sum(
        int(np.prod(tensor.dims, dtype=np.int64)) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in graph.initializer
        if tensor.data_type != onnx.TensorProto.STRING
    )


def measure(variants: list[Variant], rows: Arrays) -> None:
    """Fill in the seconds of a run of these rows, of a start (load and first run), and the bytes."""
    keys = {f"{variant.name}, {variant.optimization}": variant for variant in variants}
    calls = {key: Runner(one.folder / FILE, one.optimization).call(rows) for key, one in keys.items()}
    runs = run_seconds(calls)

    starts = start_seconds({key: partial(_start, one, rows) for key, one in keys.items()})
    for key, variant in keys.items():
        size = sum(path.stat().st_size for path in variant.folder.iterdir())
        variant.figures |= {"run_seconds": runs[key], "start_seconds": starts[key], "bytes": size}


def preferred(variants: list[Variant], prefer: Prefer) -> Variant:
    """Return the variant that the measurements and the user's preference choose."""
    if prefer == "start":
        return min(variants, key=lambda one: float(one.figures["start_seconds"]))
    if prefer == "size":
        return min(variants, key=lambda one: (int(one.figures["bytes"]), float(one.figures["start_seconds"])))
    fastest = min(float(one.figures["run_seconds"]) for one in variants)
    enough = [one for one in variants if one.figures["run_seconds"] <= MOST_SLOWER * fastest]
    return min(enough, key=lambda one: float(one.figures["start_seconds"]))


def _start(variant: Variant, rows: Arrays) -> None:
    Runner(variant.folder / FILE, variant.optimization).call(rows)()


def _inside(source: Path, folder: Path) -> None:
    shutil.copyfile(source, folder / FILE)


def _beside(source: Path, folder: Path) -> None:
    import onnx

    onnx.save_model(
        onnx.load(source),
        str(folder / FILE),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=LEAST_BYTES_OF_A_TENSOR,
    )

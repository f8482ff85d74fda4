"""
Which form of the chosen model is served: as converted or optimized ahead of time, with weights inside the file or
beside it, loaded with ONNX Runtime's optimization on or off. Each form is measured, because the best one depends on the
model.

Ahead of time means level EXTENDED, the highest that does not depend on this CPU's vector width. A quantized graph as
converted is never loaded with optimization off: it would run unfused, several times slower and with other rounding.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from snooze.bundle.contract import Optimization, RunIn, Session, Tolerance
from snooze.bundle.evidence import Parity, Prefer, QuantizationLimits, Variant
from snooze.bundle.session import session_options
from snooze.convert.checks.cases import Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.parity import compare
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization.timing import run_seconds, start_seconds
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner, import_onnxruntime

FILE: Final = "model.onnx"
WEIGHTS: Final = "model.onnx.data"
MIN_BYTES_BESIDE: Final = 2**20  # below, mapping a second file costs more than it saves
MIN_TENSOR_BYTES_BESIDE: Final = 1024
MAX_LOADED_BYTES: Final = 2**28  # of the files of all forms; larger ones are measured one after the other
MAX_SLOWDOWN: Final = 1.05
MIN_ROWS, MAX_SECONDS = 8, 2.0  # on which the forms are compared, and how long each may take
SHORT_RUN: Final = 0.5e-3  # seconds; handing a run this short to a thread costs more than it saves


class Form(NamedTuple):
    """A form of the model in its own folder."""

    name: str
    folder: Path
    optimization: Optimization

    def load(self, axes: Mapping[str, int | None] | None = None) -> Runner:
        return Runner(self.folder / FILE, self.optimization, axes)


class Served(NamedTuple):
    """The folder of the form to serve, the session for it, and the evidence of all forms."""

    folder: Path
    session: Session
    variants: tuple[Variant, ...]
    parity: Parity | None  # of the form to serve, unless it is quantized


def choose(
    file: Path,
    quantized: bool,
    original: Original,
    data: Dataset,
    tolerance: Mapping[str, Tolerance],
    limits: QuantizationLimits,
    work: Path,
    check: Callable[[Runner], tuple[Parity, str | None]],
) -> Served:
    """
    Return the form of the model in `file` that starts soonest among those at most 5 % slower than the fastest.

    With a preference for "start" or "size": the form that starts soonest or is smallest, however fast it runs. A form
    whose outputs for `data` differ by more than `tolerance` is left out, and so is a form that fails `check`, which
    compares it with the original on everything. Raises ParityRefused if none is left.
    """
    data, expected = _answer(Runner(file, axes=original.axes), data)
    forms = list(write_forms(file, quantized, work))
    variants = {form: Variant(form.name, form.optimization, agrees=False, chosen=False) for form in forms}
    agreeing = []
    for form in forms:
        outputs = _run(form, original, data)
        if outputs is None:
            continue
        found = compare(original, expected, outputs, tolerance)
        # A fused quantized graph rounds differently; its labels were checked when it was chosen.
        if not (found.outliers.any() or (found.flips.any() and not quantized)):
            agreeing.append(form)
    measured = measure(agreeing, data.request(limits.rows))
    variants |= measured
    while True:
        best = select(measured, limits.prefer)
        parity, problem = (None, None) if quantized else check(best.load(original.axes))
        if problem is None:
            break
        variants[best] = measured.pop(best)._replace(agrees=False)
        if not measured:
            raise ParityRefused(f"every form to be served answers differently: {problem}", "report it with the model")
    variants[best] = measured[best]._replace(chosen=True)
    run_in: RunIn = "loop" if (measured[best].run_seconds or 0) < SHORT_RUN else "executor"
    session = Session(FILE, best.optimization, intra_op_threads=1, run_in=run_in)
    return Served(best.folder, session, tuple(variants.values()), parity)


def _run(form: Form, original: Original, data: Dataset) -> list[Case] | None:
    """Return the outputs of a form, or None if it does not run."""
    try:
        return form.load(original.axes).answer_all(data.cases)
    except OSError:
        raise
    except Exception:  # ONNX Runtime has no common base for its errors
        return None


def _answer(runner: Runner, data: Dataset) -> tuple[Dataset, list[Case]]:
    """Return the outputs, and the data or the part of it that is quick enough to run several times."""
    few = data.take_evenly(MIN_ROWS)
    begin = time.perf_counter()
    outputs = runner.answer_all(few.cases)
    count = int(MAX_SECONDS * len(few) / (time.perf_counter() - begin))
    if count <= len(few):
        return few, outputs
    some = data.take_evenly(count)
    return some, runner.answer_all(some.cases)


def write_forms(file: Path, quantized: bool, work: Path) -> Iterator[Form]:
    """Write and yield every form of a model that may be served."""
    ahead = work / "ahead.onnx"
    with suppress(Exception):  # some graphs can only be optimized when they are loaded
        optimize(file, ahead)
    for kind, source in (("as converted", file), ("optimized ahead", ahead)):
        if not source.exists():
            continue
        for place, write in (("weights inside", shutil.copyfile), ("weights beside", _write_beside)):
            name = f"{kind}, {place}"
            folder = work / name.replace(", ", "-").replace(" ", "-")
            folder.mkdir()
            write(source, folder / FILE)
            if write is _write_beside and not _has_large_weights(folder):
                continue
            if not (quantized and source == file):
                yield Form(name, folder, "none")
            yield Form(name, folder, "all")


def optimize(file: Path, made: Path) -> None:
    """Write the model as ONNX Runtime optimizes it at level EXTENDED, which is the same on every CPU."""
    ort = import_onnxruntime()
    options = session_options(ort)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(made)
    with quiet():
        ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def measure(forms: list[Form], request: Case) -> dict[Form, Variant]:
    """Return the seconds of a run and of a start (load and first run) of each form, and its bytes."""
    keys = {f"{form.name}, {form.optimization}": form for form in forms}
    if sum(map(_size, forms)) <= MAX_LOADED_BYTES:
        runs = run_seconds({key: form.load().prepare(request) for key, form in keys.items()})
    else:
        runs = {key: run_seconds({key: form.load().prepare(request)})[key] for key, form in keys.items()}
    starts = start_seconds({key: partial(_start, form, request) for key, form in keys.items()})
    return {
        form: Variant(
            form.name,
            form.optimization,
            agrees=True,
            chosen=False,
            bytes=_size(form),
            start_seconds=starts[key],
            run_seconds=runs[key],
        )
        for key, form in keys.items()
    }


def select(measured: Mapping[Form, Variant], prefer: Prefer) -> Form:
    """Return the form that the measurements and the user's preference select."""

    def start(form: Form) -> float:
        return float(measured[form].start_seconds or 0)

    def run(form: Form) -> float:
        return float(measured[form].run_seconds or 0)

    if prefer == "start":
        return min(measured, key=start)
    if prefer == "size":
        return min(measured, key=lambda form: (measured[form].bytes or 0, start(form)))
    fastest = min(map(run, measured))
    return min((form for form in measured if run(form) <= MAX_SLOWDOWN * fastest), key=start)


def _size(form: Form) -> int:
    return sum(path.stat().st_size for path in form.folder.iterdir())


def _start(form: Form, request: Case) -> None:
    form.load().prepare(request)()


def _has_large_weights(folder: Path) -> bool:
    weights = folder / WEIGHTS
    return weights.exists() and weights.stat().st_size >= MIN_BYTES_BESIDE


def _write_beside(source: Path, target: Path) -> None:
    import onnx

    onnx.save_model(
        onnx.load(source),
        str(target),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=MIN_TENSOR_BYTES_BESIDE,
    )

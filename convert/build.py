"""Makes a bundle of a trained model: reads it, converts it, and runs every check and measurement in order."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.bundle.store import REPORT
from snooze.convert import attempts, variants
from snooze.convert.adapters.checking import check_adapter
from snooze.convert.adapters.choosing import Chosen, adapt, choose
from snooze.convert.adapters.image import answer_pictures, name_classes
from snooze.convert.adapters.raw_rows import raw_rows
from snooze.convert.adapters.tables import NO_MISSING, complete, forbid_missing
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Array
from snooze.convert.checks.dataset import Data, Dataset, load, read_rows
from snooze.convert.checks.score import check_value_names, class_names, targets
from snooze.convert.checks.synthetic import ROWS, draw_data
from snooze.convert.evidence import Findings, write_bundle
from snooze.convert.frameworks.interface import Hints, Names, Original
from snooze.convert.options import Options
from snooze.convert.quantization import candidates
from snooze.convert.report.page import render
from snooze.convert.source import Model, describe, read_model

FEW_ROWS: Final = 24
DRAWN_SECONDS: Final = 5.0  # that a model may take to answer its drawn rows
VARIANT_ROWS: Final = 64  # on which the forms of a model are compared
VARIANT_BYTES: Final = 64 * 2**20  # and their size

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What to convert; `convert` in `conversion.py` explains the fields."""

    source: object
    name: str
    data: Data | None
    y: Array | None
    arguments: Sequence[str] | None
    options: Options


def build(job: Job, folder: Path, work: Path, step: Progress) -> Bundle:
    """
    Write the files of a bundle into `folder` and return its contract. `work` is for temporary files.

    `step` is called with each step. Raises as `convert` does.
    """
    step("reading the model")
    asked = job.options
    model = read_model(job.source, asked.trust, asked.framework)
    data, original, chosen, names = _prepare(model, job)
    notes = (*model.warnings, *data.notes, *(chosen.notes if chosen is not None else ()))
    findings = _examine(original, data, chosen, replace(asked, labels=names), notes, work, step)
    step("checking what will be served, and measuring it in fresh processes")
    bundle = write_bundle(job.name, describe(model, original, job.arguments), findings, folder, work)
    (folder / REPORT).write_text(render(bundle), "utf-8")
    return bundle


def _prepare(model: Model, job: Job) -> tuple[Dataset, Original, Chosen | None, Names]:
    """Return the data with labels as class numbers or values, the original, its adapter, and names of its classes."""
    framework, asked = model.framework, job.options
    if job.data is None and (asked.label is not None or job.y is not None):
        raise InvalidOption("--label", "labels need their rows; add --data")
    rows = None if job.data is None else read_rows(job.data, job.y, asked.label)
    source = str(job.data) if isinstance(job.data, str | Path) else "data"
    inputs, chosen = choose(framework, model.model, rows, asked.adapter, source, asked.labels)
    if rows is None:
        original = framework.describe(model.model, inputs, Hints(None, asked.labels, asked.task))
        class_names(original, asked.labels)  # fails early
        return _draw(original), original, chosen, asked.labels
    if chosen is None or chosen.declaration.kind == "table":
        raw = None if chosen is None else raw_rows(chosen.declaration, rows, source)
        fitting = rows if chosen is None else complete(chosen.declaration, rows, source)
        data = load(fitting, inputs, framework.columns(model.model), source, raw)
    else:
        data = adapt(chosen, rows, inputs, source)
    original = framework.describe(model.model, inputs, Hints(data.labels, asked.labels or rows.classes, asked.task))
    if chosen is not None and chosen.declaration.kind == "image":
        original = answer_pictures(framework, original, chosen.declaration)
    elif chosen is not None and chosen.adds_preprocessing:
        original = replace(original, answer_raw=None)
    names = name_classes(original, rows, asked.labels)
    class_names(original, names)
    data = replace(data, labels=targets(original, data.labels, names), notes=(*rows.notes, *data.notes))
    return data, original, chosen, names


def _draw(original: Original) -> Dataset:
    """Return rows drawn for a model: as many as it answers in some seconds, but always a few."""
    few = draw_data(original.inputs, FEW_ROWS)
    begin = time.perf_counter()
    with suppress(InvalidData):  # of which lengths it accepts none is found out later
        original.answer_all(few.cases)
    fitting = int(DRAWN_SECONDS * len(few) / (time.perf_counter() - begin))
    return draw_data(original.inputs, max(FEW_ROWS, min(ROWS, fitting)))


def _examine(
    original: Original,
    data: Dataset,
    chosen: Chosen | None,
    asked: Options,
    notes: tuple[str, ...],
    work: Path,
    step: Progress,
) -> Findings:
    """Return a graph that agrees with the original, the version of it to serve, and the form in which it is served."""
    step(f"converting, and comparing {len(data)} rows with the original")
    conversion = attempts.convert(original, data, work)
    check_value_names(original, asked.labels, conversion.expected.outputs)
    data = conversion.expected.data
    if chosen is not None and chosen.declaration.kind == "table" and conversion.parity.missing == "differs":
        table = forbid_missing(chosen.declaration, data.raw)
        notes += (NO_MISSING,) if table != chosen.declaration else ()
        chosen = chosen._replace(declaration=table)
    chosen = None if chosen is None else chosen.take(conversion.inputs)
    adapter = None if chosen is None else check_adapter(chosen.adapter, original, conversion)
    step("trying 8-bit candidates")
    wanted = asked.quantize == "auto"
    choice = candidates.choose(conversion.file, conversion.graph, original, data, asked.limits, wanted, work)
    expected = conversion.expected
    tolerance = golden.tolerances(expected.tolerance, expected.outputs, choice.quantized, original)
    step("measuring the forms in which the model can be served")
    some = data.take_evenly(VARIANT_ROWS, VARIANT_BYTES)
    check = partial(attempts.check_parity, original, conversion.parity.attempt, expected)
    served = variants.choose(choice.file, choice.quantized, original, some, tolerance, asked.limits, work, check)
    names = class_names(original, asked.labels)
    found = (conversion, choice, tolerance, served)
    return Findings(original, names, data, asked.limits, notes, *found, asked.samples, chosen, adapter)

"""A trained model in, a bundle with its evidence out: every step in order, every gate on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Unpack

import numpy as np

from snooze.bundle.contract import Bundle
from snooze.bundle.draft import Draft
from snooze.bundle.store import read
from snooze.convert import variants
from snooze.convert.attempts import agree
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Array, Rows
from snooze.convert.checks.score import class_names, targets
from snooze.convert.checks.synthetic import drawn
from snooze.convert.data import LABELS, checked, from_file
from snooze.convert.errors import InvalidOption
from snooze.convert.evidence import Findings, assembled
from snooze.convert.frameworks.interface import Original
from snooze.convert.options import Keywords, Options
from snooze.convert.quantization import candidates
from snooze.convert.report.page import REPORT, written
from snooze.convert.source import Opened, described, opened
from snooze.convert.workspace import workspace

SYNTHETIC_ROWS: Final = 512
VARIANT_ROWS: Final = 64  # on which the forms of a model are compared with each other

Progress = Callable[[str], None]
Data = str | Path | Array | Mapping[str, Array]


@dataclass(frozen=True)
class Converted:
    """A published bundle: where it lies and what it says."""

    folder: Path
    bundle: Bundle

    @property
    def report(self) -> Path:
        """The page that shows the evidence to people."""
        return self.folder / REPORT


def convert(
    source: object,
    *,
    name: str,
    target: str | Path,
    data: Data | None = None,
    y: Array | None = None,
    arguments: Sequence[str] | None = None,
    progress: Progress = lambda step: None,
    **options: Unpack[Keywords],
) -> Converted:
    """
    Convert a trained model and publish it as the next version of `name` in the repository `target`.

    Args:
        source: a fitted scikit-learn estimator or a Keras model, or the path of a file that holds one.
        name: the model's name in the repository.
        target: the folder of the repository; made if it is not there.
        data: real rows: a file, or one array, or arrays by input name. Without, rows are drawn from the signature.
        y: labels of `data`, where it is not a file.
        arguments: the command line to remember, if there was one.
        progress: is told each step.
        **options: see `Options`.

    Raises:
        ConversionError: nothing was written; `Refused` where a gate said no.
        BundleError: the bundle could not be stored.
    """
    asked = Options(**options)
    if not str(target):
        raise InvalidOption("--target", "expected a folder, got an empty text; the current folder is '.'")
    draft = Draft(Path(target), name)
    progress("reading the model")
    model = opened(source, asked.trust, asked.framework)
    rows, original = _prepared(model, data, y, asked)
    with draft, workspace() as work:
        findings = _found(original, rows, asked, model.notes, work, progress)
        progress("checking what will be served, and measuring it in fresh processes")
        source_of = described(model, original.framework_version, original.framework, arguments)
        bundle = assembled(name, source_of, findings, draft.folder, work)
        (draft.folder / REPORT).write_text(written(bundle), "utf-8")
        folder = draft.publish(bundle)
    return Converted(folder, read(folder))


def _prepared(model: Opened, data: Data | None, y: Array | None, asked: Options) -> tuple[Rows, Original]:
    """Return rows with their labels as the model's own classes or values, and the model itself."""
    takes, columns = model.converter.inputs(model.model), model.converter.columns(model.model)
    if isinstance(data, str | Path):
        rows = from_file(Path(data), takes, columns, asked.label)
    elif data is None:
        if asked.label is not None or y is not None:
            raise InvalidOption("--label", "labels need the rows they belong to; add --data")
        rows = drawn(takes, SYNTHETIC_ROWS)
    else:
        arrays = dict(data) if isinstance(data, Mapping) else {takes[0].name: np.asarray(data)}
        rows = checked(arrays | ({} if y is None else {LABELS: np.asarray(y)}), takes, "data", columns)
    original: Original = model.converter.original(model.model, rows.labels, asked.labels)
    class_names(original, asked.labels)  # before anything takes long
    return replace(rows, labels=targets(original, rows.labels, asked.labels)), original


def _found(
    original: Original, rows: Rows, asked: Options, notes: tuple[str, ...], work: Path, progress: Progress
) -> Findings:
    """Find a graph that agrees with the original, the version of it to serve, and the form to serve that in."""
    progress(f"converting, and comparing {len(rows)} rows with the original")
    agreed = agree(original, rows, work)
    progress("trying 8-bit candidates")
    wanted = asked.quantize == "auto"
    choice = candidates.choose(agreed.file, agreed.graph, original, rows, asked.limits, wanted, work)
    assert choice.chosen.file is not None
    quantized = choice.chosen.name != candidates.BASELINE
    tolerance = golden.tolerances(agreed.tolerance, agreed.expected.outputs, quantized)
    progress("measuring the forms that the model can be served in")
    some = rows.at_most(VARIANT_ROWS).inputs
    served = variants.choose(choice.chosen.file, quantized, original, some, tolerance, asked.limits, work)
    return Findings(
        original=original,
        names=class_names(original, asked.labels),
        rows=rows,
        limits=asked.limits,
        notes=notes,
        agreed=agreed,
        choice=choice,
        quantized=quantized,
        tolerance=tolerance,
        served=served,
    )

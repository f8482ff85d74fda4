"""Turns a trained model into a bundle with its evidence: every step and check in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Unpack

from snooze.bundle.contract import Bundle
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidOption
from snooze.bundle.store import read
from snooze.convert import attempts, variants
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Array
from snooze.convert.checks.dataset import Data, Dataset, load
from snooze.convert.checks.score import class_names, targets
from snooze.convert.checks.synthetic import draw_data
from snooze.convert.evidence import Findings, write_bundle
from snooze.convert.frameworks.interface import Original
from snooze.convert.options import Keywords, Options
from snooze.convert.quantization import candidates
from snooze.convert.report.page import REPORT, render
from snooze.convert.source import Model, describe, read_model
from snooze.convert.workspace import workspace

VARIANT_ROWS: Final = 64  # on which the forms of a model are compared

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Converted:
    """A published bundle: its folder and its contract."""

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
        target: the folder of the repository, created if it does not exist.
        data: real rows: a file, one array, or arrays by input name. Without it, rows are drawn from the signature.
        y: labels of `data`, if it is not a file.
        arguments: the command line to record, if there was one.
        progress: is called with each step.
        **options: see `Options`.

    Raises:
        ConversionError: the model was not converted; `Refused` if a check failed.
        InvalidOption, InvalidData, MissingExtra: an option, the rows or the installation do not suit the model.
        BundleError: the bundle could not be stored.
    """
    asked = Options(**options)
    if not str(target):
        raise InvalidOption("--target", "expected a folder, got an empty text; the current folder is '.'")
    draft = Draft(Path(target), name)
    progress("reading the model")
    model = read_model(source, asked.trust, asked.framework)
    rows, original = _prepare(model, data, y, asked)

    def step(text: str) -> None:
        draft.touch()  # a draft that nobody touches for a day is removed
        progress(text)

    with draft, workspace() as work:
        findings = _examine(original, rows, asked, model.warnings, work, step)
        step("checking what will be served, and measuring it in fresh processes")
        origin = describe(model, original, arguments)
        bundle = write_bundle(name, origin, findings, draft.folder, work)
        (draft.folder / REPORT).write_text(render(bundle), "utf-8")
        folder = draft.publish(bundle)
    return Converted(folder, read(folder))


def _prepare(model: Model, data: Data | None, labels: Array | None, asked: Options) -> tuple[Dataset, Original]:
    """Return the data with labels as class numbers or values, and the original."""
    framework = model.framework
    inputs = framework.signature(model.model, data)
    if data is None:
        if asked.label is not None or labels is not None:
            raise InvalidOption("--label", "labels need their rows; add --data")
        rows = draw_data(inputs)
    else:
        rows = load(data, labels, inputs, framework.columns(model.model), asked.label)
    original = framework.describe(model.model, inputs, rows.labels, asked.labels)
    class_names(original, asked.labels)  # fails early
    return replace(rows, labels=targets(original, rows.labels, asked.labels)), original


def _examine(
    original: Original, data: Dataset, asked: Options, notes: tuple[str, ...], work: Path, step: Progress
) -> Findings:
    """Return a graph that agrees with the original, the version of it to serve, and the form in which it is served."""
    step(f"converting, and comparing {len(data)} rows with the original")
    conversion = attempts.convert(original, data, work)
    step("trying 8-bit candidates")
    wanted = asked.quantize == "auto"
    choice = candidates.choose(conversion.file, conversion.graph, original, data, asked.limits, wanted, work)
    expected = conversion.expected
    tolerance = golden.tolerances(expected.tolerance, expected.outputs, choice.quantized)
    step("measuring the forms in which the model can be served")
    some = data.take_evenly(VARIANT_ROWS)
    served = variants.choose(choice.file, choice.quantized, original, some, tolerance, asked.limits, work)
    names = class_names(original, asked.labels)
    return Findings(original, names, data, asked.limits, notes, conversion, choice, tolerance, served)

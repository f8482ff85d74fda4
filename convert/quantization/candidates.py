"""
Whether an 8-bit version of the model is worth serving: built by the recipes that suit its operators, checked, measured.

The rows are split in three: for calibration, for the selection of a candidate, and for a report on which the selected
one must hold as well. Candidates are compared with fp32 row by row, because a score on some hundred rows does not
resolve half a point.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.evidence import Candidate, Losses, QuantizationLimits
from snooze.bundle.units import format_count
from snooze.convert.checks.cases import Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.graph import is_quantized, operators
from snooze.convert.checks.parity import PRECISION, spans
from snooze.convert.checks.score import r_squared, score
from snooze.convert.frameworks.interface import Original, first_line
from snooze.convert.quantization.recipes import QUANTIZABLE, prepare, recipes
from snooze.convert.quantization.timing import run_seconds
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner

MIN_GAIN: Final = 1.15
MIN_CALIBRATION, MAX_CALIBRATION = 100, 500
MIN_ROWS: Final = 200  # 100 for calibration, 50 for selection, 50 for the report
SEED: Final = 7
BASELINE: Final = "fp32"
HALF: Final = "fp16"
QUANTIZED: Final = "as it was quantized"  # a model that was 8-bit before it came here


class Choice(NamedTuple):
    """The version to serve, the evidence of all versions, and the data by which nothing was chosen."""

    name: str
    file: Path
    candidates: tuple[Candidate, ...]
    report: Dataset
    quantized: bool = False  # it calculates in 8 bits


class Version(NamedTuple):
    """A version of the model that runs, and its outputs for the selection rows."""

    candidate: Candidate
    file: Path
    runner: Runner
    outputs: Sequence[Case]


def choose(
    file: Path, graph: Any, original: Original, data: Dataset, limits: QuantizationLimits, wanted: bool, work: Path
) -> Choice:
    """Return the version to serve of the fp32 model in `file`, which is `graph`. `work` is for temporary files."""
    base = Candidate(BASELINE, "chosen", "the converted model", bytes=file.stat().st_size)
    if is_quantized(graph):
        base = base._replace(name=QUANTIZED, reason="the converted model, which is quantized already")
        return Choice(QUANTIZED, file, (base,), data, quantized=True)
    if original.half:
        reason = "a model in half precision is served as it is; export it in single precision to try 8-bit versions"
        return Choice(HALF, file, (base._replace(name=HALF), Candidate("int8", "refused", reason)), data)
    if obstacle := find_obstacle(graph, data, wanted):
        return Choice(BASELINE, file, (base, Candidate("int8", "refused", obstacle)), data)
    calibration, selection, report = split(data)
    versions = [_load(base, file, selection, original.axes)]
    failed: list[Candidate] = []
    prepared = work / "prepared.onnx"
    for recipe in recipes(graph):
        try:
            if not prepared.exists():
                prepare(file, prepared)
            made = work / f"{recipe.name}.onnx"
            with quiet():
                recipe.build(prepared, made, calibration)
            versions.append(_load(Candidate(recipe.name, "passed", ""), made, selection, original.axes))
        except Exception as error:  # the quantizer and ONNX Runtime raise whatever their own code runs into
            failed.append(Candidate(recipe.name, "refused", f"it fails: {type(error).__name__}: {first_line(error)}"))
    candidates = list(_measure(versions, original, selection, limits))
    winner = _select(versions, candidates, original, report, limits)
    name, used = candidates[winner].name, report if winner else data
    return Choice(name, versions[winner].file, (*candidates, *failed), used, quantized=bool(winner))


def find_obstacle(graph: Any, data: Dataset, wanted: bool) -> str | None:
    """Return why no candidate is built at all, or None."""
    found = operators(graph)
    if not wanted:
        return "turned off by --quantize none"
    if not found & QUANTIZABLE:
        return f"nothing to quantize: no matrix of weights among the operators {', '.join(sorted(found))}"
    if not data.real:
        return "without real rows there is nothing to calibrate with and to measure the loss on; add --data"
    if len(data) < MIN_ROWS:
        return f"{len(data)} rows are too few for calibration, selection and report; give {MIN_ROWS} or more"
    return None


def split(data: Dataset) -> tuple[Dataset, Dataset, Dataset]:
    """Return data for calibration (a quarter, 100 to 500 units), selection and report (half of the rest each)."""
    order = np.random.default_rng(SEED).permutation(len(data))
    calibration = min(MAX_CALIBRATION, max(MIN_CALIBRATION, len(data) // 4))
    half = calibration + (len(data) - calibration) // 2
    return data.take(order[:calibration]), data.take(order[calibration:half]), data.take(order[half:])


def measure_losses(original: Original, data: Dataset, before: Sequence[Case], after: Sequence[Case]) -> Losses:
    """
    Return what the outputs of a candidate lose against those of fp32.

    `score` is the candidate's, if there are labels. `drop` is how many points it is below fp32's (hundredths of
    accuracy or R²; without labels, of the R² against fp32's own values). `flips` is the percentage of units whose class
    changes, and `right_to_wrong` and `wrong_to_right` count the labelled ones among them.
    """
    losses = Losses(rows=len(data))
    was, now = original.classify(before), original.classify(after)
    if was is not None and now is not None:
        losses = losses._replace(flips=100 * float((was != now).mean()))
        if data.labels is not None:
            losses = losses._replace(
                right_to_wrong=int(((was == data.labels) & (now != data.labels)).sum()),
                wrong_to_right=int(((was != data.labels) & (now == data.labels)).sum()),
            )
    if data.labels is not None:
        value = score(original, after, data.labels).value
        return losses._replace(score=value, drop=100 * (score(original, before, data.labels).value - value))
    if was is None:
        return losses._replace(drop=100 * (1 - min(_similarity(before, after, name) for name in before[0].tensors)))
    return losses


def broken_limit(losses: Losses, limits: QuantizationLimits) -> str:
    """Return which limit a candidate exceeds, or an empty text."""
    if losses.drop is not None and losses.drop > limits.max_drop:
        return f"its score drops by {losses.drop:.2f} points; --max-drop allows {limits.max_drop:g}"
    if losses.flips is not None and losses.flips > limits.max_flips:
        return f"{losses.flips:.1f} % of its labels flip; --max-flips allows {limits.max_flips:g} %"
    return ""


def _load(candidate: Candidate, file: Path, selection: Dataset, axes: Mapping[str, int | None] | None) -> Version:
    runner = Runner(file, axes=axes)
    return Version(candidate._replace(bytes=file.stat().st_size), file, runner, runner.answer_all(selection.cases))


def _measure(
    versions: list[Version], original: Original, selection: Dataset, limits: QuantizationLimits
) -> Iterator[Candidate]:
    """Yield the candidates with their speed and losses and, for all but fp32, their verdict."""
    request, base = selection.request(limits.rows), versions[0]
    seconds = run_seconds({one.candidate.name: one.runner.prepare(request) for one in versions})
    for version in versions:
        name = version.candidate.name
        speedup = seconds[BASELINE] / seconds[name]
        losses = measure_losses(original, selection, base.outputs, version.outputs)
        candidate = version.candidate._replace(seconds=seconds[name], speedup=speedup, selection=losses)
        reason = broken_limit(losses, limits)
        if not reason and limits.prefer == "speed" and speedup < limits.min_gain:
            rows = format_count(limits.rows, "row")
            reason = f"it runs {speedup:.2f} times as fast as fp32 on {rows}; expected {limits.min_gain:g} times"
        if version is not base:
            candidate = candidate._replace(verdict="refused" if reason else "passed", reason=reason)
        yield candidate


def _select(
    versions: list[Version],
    candidates: list[Candidate],
    original: Original,
    report: Dataset,
    limits: QuantizationLimits,
) -> int:
    """Return the place of the best candidate that also holds on the report rows; set the final verdicts."""
    key = "seconds" if limits.prefer == "speed" else "bytes"
    before = versions[0].runner.answer_all(report.cases)
    passed = [at for at, one in enumerate(candidates) if one.verdict == "passed"]
    winner = 0
    for at in sorted(passed, key=lambda at: float(getattr(candidates[at], key))):
        losses = measure_losses(original, report, before, versions[at].runner.answer_all(report.cases))
        reason = broken_limit(losses, limits)
        if reason:
            reason = f"on rows by which it was not chosen, {reason}"
        elif key == "bytes" and (candidates[at].bytes or 0) >= (candidates[0].bytes or 0):
            reason = "it is not smaller than fp32"
        candidates[at] = candidates[at]._replace(
            report=losses, verdict="refused" if reason else "passed", reason=reason
        )
        if not reason:
            winner = at
            break
    best = "no 8-bit candidate is better"
    if winner:
        best = f"{candidates[winner].speedup:.2f} times as fast as fp32 and within every limit"
    for at, one in enumerate(candidates):
        if at == winner:
            candidates[at] = one._replace(verdict="chosen", reason=best)
        elif one.verdict != "refused":
            candidates[at] = one._replace(verdict="passed", reason=f"{candidates[winner].name} is better")
    return winner


def _similarity(before: Sequence[Case], after: Sequence[Case], name: str) -> float:
    """Return how closely an output follows fp32's: the worst column's R², otherwise the share of equal values."""
    was, now = (np.concatenate([case.by_unit(name).reshape(-1) for case in cases]) for cases in (before, after))
    if was.dtype.kind != "f":
        return float((was == now).mean())
    ranges = spans(before, name)
    was, now = (values.reshape(-1, len(ranges)).astype(np.float64) for values in (was, now))
    counted = ranges > PRECISION * ranges.max()  # single precision does not carry smaller ones
    return float(r_squared(was, now)[counted].min(initial=1.0))

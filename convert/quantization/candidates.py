"""
Whether an 8-bit version of the model is worth serving: built by the recipes that fit its operators, gated, measured.

Rows are split three ways: those that calibrate, those that a candidate is judged by, and those that the winner must
hold on as well and is reported with. A candidate is compared with fp32 row by row, for the score alone does not resolve
half a point on some hundred rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from snooze.convert.checks.cases import Array, Arrays, Rows
from snooze.convert.checks.graph import operators
from snooze.convert.checks.score import r_squared, score
from snooze.convert.frameworks.interface import Original, first_line
from snooze.convert.quantization.recipes import QUANTIZABLE, Recipe, prepare, recipes
from snooze.convert.quantization.timing import run_seconds
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner

Prefer = Literal["speed", "start", "size"]
LEAST_GAIN: Final = 1.15
LEAST_CALIBRATION, MOST_CALIBRATION = 100, 500
LEAST_ROWS: Final = 200  # 100 to calibrate with, 50 to choose by, 50 to report
SEED: Final = 7
BASELINE: Final = "fp32"


@dataclass(frozen=True)
class Limits:
    """What a candidate must keep: the most that its score may drop (points) and its labels may flip (percent)."""

    max_drop: float = 0.5
    max_flips: float = 2.0
    prefer: Prefer = "speed"
    rows: int = 1  # a request's rows, at which speed is measured


@dataclass
class Candidate:
    """One version of the model, and what became of it: chosen, passed (all gates, but another is better) or refused."""

    name: str
    file: Path | None = None
    verdict: Literal["chosen", "passed", "refused"] = "refused"
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return what the evidence holds. What was not measured is null."""
        empty = dict.fromkeys(("seconds", "speedup", "score", "drop", "flips", "bytes"))
        return {"name": self.name, "verdict": self.verdict, "reason": self.reason, **empty, **self.figures}


@dataclass(frozen=True)
class Choice:
    """The candidate to serve, all that were looked at, and the rows that nothing was chosen by."""

    chosen: Candidate
    candidates: list[Candidate]
    report: Rows


def choose(file: Path, graph: Any, original: Original, rows: Rows, limits: Limits, wanted: bool, work: Path) -> Choice:
    """
    Return the version of the model in `file` to serve.

    Args:
        file: the fp32 model.
        graph: the same as an `onnx.ModelProto`.
        original: what the model's outputs mean.
        rows: rows with their labels, if any, as class numbers or values.
        limits: what is asked of a candidate.
        wanted: False where the user turned quantization off.
        work: a folder for files that are not kept.
    """
    base = Candidate(BASELINE, file, "chosen", "the converted model", {"bytes": file.stat().st_size})
    refusal = refused(graph, rows, wanted)
    if refusal:
        return Choice(base, [base, Candidate("int8", reason=refusal)], rows)
    calibration, selection, report = split(rows)
    candidates = [base, *built(file, recipes(graph), calibration, work)]
    judged = [one for one in candidates if one.file is not None]
    _measure(judged, original, selection, limits)
    chosen = _best(judged, original, report, limits)
    return Choice(chosen, candidates, rows if chosen is base else report)


def refused(graph: Any, rows: Rows, wanted: bool) -> str | None:
    """Return why no candidate is built at all, or None."""
    found = operators(graph)
    if not wanted:
        return "turned off by --quantize off"
    if not found & QUANTIZABLE:
        return f"nothing to quantize: the graph holds {', '.join(sorted(found))} and no matrix of weights among them"
    if not rows.real:
        return "no real rows were given, and made-up rows can neither calibrate nor tell what is lost; add --data"
    if len(rows) < LEAST_ROWS:
        return f"{len(rows)} rows are too few to calibrate, choose and report by; give {LEAST_ROWS} or more"
    return None


def split(rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Return rows to calibrate, to select and to report by: a quarter (100 to 500), and two halves of the rest."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    calibration = min(MOST_CALIBRATION, max(LEAST_CALIBRATION, len(rows) // 4))
    half = calibration + (len(rows) - calibration) // 2
    return rows.take(order[:calibration]), rows.take(order[calibration:half]), rows.take(order[half:])


def built(file: Path, wanted: list[Recipe], calibration: Rows, work: Path) -> Iterator[Candidate]:
    """Yield a candidate for each recipe; one that cannot be built or loaded carries the reason instead of a file."""
    prepared = prepare(file, work / "prepared.onnx")
    for recipe in wanted:
        made = work / f"{recipe.name}.onnx"
        try:
            with quiet():
                recipe.build(prepared, made, calibration)
            Runner(made)
        except Exception as error:  # the quantizer raises whatever its own code runs into
            yield Candidate(recipe.name, reason=f"could not be built: {type(error).__name__}: {first_line(error)}")
            continue
        yield Candidate(recipe.name, made, figures={"bytes": made.stat().st_size})


def _measure(candidates: list[Candidate], original: Original, selection: Rows, limits: Limits) -> None:
    """Fill in each candidate's figures and, but for the first (fp32), its verdict."""
    runners = {one.name: Runner(one.file) for one in candidates if one.file is not None}
    served = {name: array[np.arange(limits.rows) % len(array)] for name, array in selection.inputs.items()}
    seconds = run_seconds({name: runner.call(served) for name, runner in runners.items()})
    outputs = {name: runner.run_all(selection.inputs) for name, runner in runners.items()}
    for one in candidates:
        one.figures["seconds"] = seconds[one.name]
        one.figures["speedup"] = seconds[BASELINE] / seconds[one.name]
        one.figures |= lost(original, selection, outputs[BASELINE], outputs[one.name])
        if one.name != BASELINE:
            one.reason = too_much_lost(one.figures, limits) or _too_slow(one.figures, limits)
            one.verdict = "refused" if one.reason else "passed"


def lost(original: Original, rows: Rows, before: Arrays, after: Arrays) -> dict[str, Any]:
    """
    Return what a candidate's outputs lose against fp32's on some rows.

    `score` is the candidate's own, where there are labels; `drop` is how many points less than fp32's (hundredths of
    accuracy or R²; without labels, of the R² against fp32's own values); `flips` is the percent of rows whose class
    changes; `right_to_wrong` and `wrong_to_right` say which way the labelled ones among them went.
    """
    figures: dict[str, Any] = {"judged_rows": len(rows)}
    was, now = original.decision(before), original.decision(after)
    if was is not None and now is not None:
        figures["flips"] = 100 * float((was != now).mean())
        if rows.labels is not None:
            figures["right_to_wrong"] = int(((was == rows.labels) & (now != rows.labels)).sum())
            figures["wrong_to_right"] = int(((was != rows.labels) & (now == rows.labels)).sum())
    if rows.labels is not None:
        figures["score"] = score(original, after, rows.labels).value
        figures["drop"] = 100 * (score(original, before, rows.labels).value - figures["score"])
    elif was is None:
        figures["drop"] = 100 * (1 - min(_agreement(before[name], after[name]) for name in before))
    return figures


def _agreement(before: Array, after: Array) -> float:
    if before.dtype.kind != "f":
        return float((before == after).mean())
    flat = before.reshape(len(before), -1).astype(np.float64)
    return r_squared(flat, after.reshape(len(after), -1).astype(np.float64)) if np.ptp(flat) else 1.0


def too_much_lost(figures: dict[str, Any], limits: Limits) -> str:
    """Return which limit a candidate breaks, or an empty text."""
    if figures.get("drop", 0.0) > limits.max_drop:
        return f"its score drops by {figures['drop']:.2f} points; --max-drop allows {limits.max_drop:g}"
    if figures.get("flips", 0.0) > limits.max_flips:
        return f"{figures['flips']:.1f} % of its labels flip; --max-flips allows {limits.max_flips:g} %"
    return ""


def _too_slow(figures: dict[str, Any], limits: Limits) -> str:
    if limits.prefer == "speed" and figures["speedup"] < LEAST_GAIN:
        of = f"{limits.rows} row" + "s" * (limits.rows > 1)
        return f"it runs {figures['speedup']:.2f} times as fast as fp32 on {of}; {LEAST_GAIN:g} times is asked"
    return ""


def _best(candidates: list[Candidate], original: Original, report: Rows, limits: Limits) -> Candidate:
    """Return the best candidate that also holds on the rows it was not chosen by."""
    base = candidates[0]
    key = "seconds" if limits.prefer == "speed" else "bytes"
    assert base.file is not None
    before = Runner(base.file).run_all(report.inputs)
    for one in sorted((one for one in candidates[1:] if one.verdict == "passed"), key=lambda one: one.figures[key]):
        assert one.file is not None
        figures = lost(original, report, before, Runner(one.file).run_all(report.inputs))
        one.figures["report"] = figures
        broken = too_much_lost(figures, limits)
        if broken:
            one.verdict, one.reason = "refused", f"on rows that it was not chosen by, {broken}"
            continue
        if limits.prefer != "speed" and one.figures["bytes"] >= base.figures["bytes"]:
            one.reason = "it is no smaller than fp32"
            continue
        return _declare(one, candidates)
    base.reason = "no 8-bit candidate is better"
    return base


def _declare(best: Candidate, candidates: list[Candidate]) -> Candidate:
    best.verdict = "chosen"
    best.reason = f"{best.figures['speedup']:.2f} times as fast as fp32 and within every limit"
    for other in candidates:
        if other is not best and other.verdict != "refused":
            other.verdict, other.reason = "passed", f"{best.name} is better"
    return best

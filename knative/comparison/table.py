"""A comparison as text for people."""

from collections.abc import Callable, Iterator
from typing import Final

from snooze.bundle.units import format_count, format_duration
from snooze.knative.comparison.report import ArmReport, Comparison, Verdict
from snooze.knative.statistics import Estimate

MAX_LABELS: Final = 5
WIDTH: Final = 34  # of a column


def format_comparison(comparison: Comparison) -> str:
    """Return both arms side by side, and the verdict below them."""
    first, second = comparison.arms
    asked = max(first.requests, second.requests)
    scope = "" if asked == comparison.rows else f", {asked:,} of them asked"
    lines = [f"{comparison.service} in {comparison.namespace}: {format_count(comparison.rows, 'row')}{scope}", ""]
    lines += [f"  {name:20} {cell(first):{WIDTH}} {cell(second)}".rstrip() for name, cell in _cells(comparison)]
    return "\n".join([*lines, "", *_explain(comparison)])


def _cells(comparison: Comparison) -> Iterator[tuple[str, Callable[[ArmReport], str]]]:
    yield "", lambda arm: arm.tag
    yield "revision", lambda arm: arm.revision
    yield "model version", lambda arm: arm.version or "not known"
    yield "share of requests", lambda arm: f"{arm.percent} %"
    yield "asked", lambda arm: f"{arm.requests:,}"
    yield "errors", lambda arm: f"{arm.errors:,}"
    yield "p50", lambda arm: "–" if arm.p50_seconds is None else format_duration(arm.p50_seconds)
    yield "p99", lambda arm: "–" if arm.p99_seconds is None else format_duration(arm.p99_seconds)
    if comparison.metric == "accuracy":
        yield "labels", _format_labels
    elif comparison.metric:
        yield "values", lambda arm: ", ".join(f"{name} {value:.4g}" for name, value in (arm.values or {}).items())
    if comparison.metric:
        yield comparison.metric, lambda arm: _format_estimate(arm.score) if arm.score else "–"


def _format_labels(arm: ArmReport) -> str:
    counts = arm.labels or {}
    total = sum(counts.values())
    shown = [f"{label} {count / total:.1%}" for label, count in list(counts.items())[:MAX_LABELS]]
    return ", ".join([*shown, "..."] if len(counts) > MAX_LABELS else shown)


def _format_estimate(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.4g} ({estimate.low:{sign}.4g} to {estimate.high:{sign}.4g})"


def _explain(comparison: Comparison) -> Iterator[str]:
    first, second = comparison.arms
    for arm in comparison.arms:
        if arm.first_error:
            yield f"{arm.tag} gave {format_count(arm.errors, 'error')}; the first one: {arm.first_error}"
    if comparison.verdict is None:
        yield "no verdict: there is no row that both arms answered"
        return
    yield from _explain_verdict(comparison, comparison.verdict, first.tag, second.tag)


def _explain_verdict(comparison: Comparison, verdict: Verdict, first: str, second: str) -> Iterator[str]:
    outcome = f"{verdict.winner} is better" if verdict.winner else "no winner"
    yield f"{outcome} ({100 * verdict.confidence:.4g} % confidence; {verdict.test}: p = {verdict.p_value:.3g})"
    rows = f"{format_count(comparison.compared, 'row')} that both answered"
    yield f"  {comparison.metric} of {second} minus that of {first}: {_format_estimate(verdict.gain, '+')}, on {rows}"
    if verdict.lost is not None:
        yield f"  only {first} is right in {format_count(verdict.lost, 'row')}, only {second} in {verdict.won:,}"
    if verdict.winner is None and verdict.detectable is not None:
        yield f"  with so many rows a difference of {verdict.detectable:.2g} is found in 80 of 100 comparisons"

"""The report of wakes: totals with their intervals, phases, and the servers' own ledgers."""

from collections.abc import Sequence
from statistics import mean, median, quantiles
from typing import Any, Final

from snooze.benchmarks.comparison import Results, Table
from snooze.benchmarks.machine import describe, other_work
from snooze.benchmarks.wake.intervals import Estimate, estimate_difference, estimate_mean, estimate_ratio
from snooze.benchmarks.wake.phases import PHASES
from snooze.benchmarks.wake.rounds import Options, Rounds, Wake
from snooze.benchmarks.wake.rounds import run as run_rounds

METHOD: Final = (
    "A request to a service without a pod, until its answer is complete, in ms; {rounds} rounds, the services in turn, "
    "each request at a random phase of kubelet's one-second tick. ± is half of the 95 % interval: of the mean by "
    "Student's t, of the difference from the first service paired by round, of the ratio to it by the delta method "
    "(Cochran 1977, section 6.3). Phases are means, and sum to the mean. {drain}"
)
SKIPPED: Final = "Pods that drained were deleted at once."
MAX_REST: Final = 1.0  # seconds
COLUMNS: Final = ("service", "wakes", "mean", "median", "p90", "min", "max", "warm", "- first", "/ first")


def run(options: Options) -> Results:
    """Wake the services and return the report; errors as in `rounds.run`."""
    warnings = other_work()
    return summarize(run_rounds(options), options, describe(), warnings)


def summarize(rounds: Rounds, options: Options, machine: dict[str, Any], warnings: Sequence[str] = ()) -> Results:
    """Return the tables of the complete rounds; there may be none."""
    by_service = list(zip(*rounds.complete, strict=True))
    figures = {wakes[0].service: _figures(wakes, by_service[0]) for wakes in by_service}
    return Results(
        "Waking from zero on Knative",
        METHOD.format(rounds=options.rounds, drain=SKIPPED if options.skip_drain else "").strip(),
        machine,
        figures,
        COLUMNS,
        [_row(name, one, index == 0) for index, (name, one) in enumerate(figures.items())],
        [
            *warnings,
            *(f"{failure}; that round is left out." for failure in rounds.failures),
            *_slow_probing(by_service),
        ],
        [_phase_table(figures), *_difference_tables(figures), *_ledger_tables(figures)] if figures else [],
    )


def _slow_probing(by_service: Sequence[Sequence[Wake]]) -> list[str]:
    slow = {wakes[0].service: sum(wake.phases["rest"] > MAX_REST for wake in wakes) for wakes in by_service}
    return [
        f"After {count} wakes of {name} had an address, the answer took more than {MAX_REST:g} s: the activator may "
        "probe this revision the slow way (docs/cold-starts.md)."
        for name, count in slow.items()
        if count
    ]


def _figures(wakes: Sequence[Wake], base: Sequence[Wake]) -> dict[str, Any]:
    totals, first = ([wake.seconds for wake in one] for one in (wakes, base))
    phases = {phase: tuple([wake.phases[phase] for wake in one] for one in (wakes, base)) for phase in PHASES}
    ledgers = [wake.ledger for wake in wakes if wake.ledger is not None]
    return {
        "wakes": len(totals),
        "mean": estimate_mean(totals)._asdict(),
        "median": median(totals),
        "p90": quantiles(totals, n=10, method="inclusive")[-1] if len(totals) > 1 else totals[0],
        "min": min(totals),
        "max": max(totals),
        "warm": median(wake.warm for wake in wakes),
        "difference": estimate_difference(totals, first)._asdict(),
        "ratio": estimate_ratio(totals, first)._asdict(),
        "phases": {phase: estimate_mean(own)._asdict() for phase, (own, _) in phases.items()},
        "phase_differences": {phase: estimate_difference(*both)._asdict() for phase, both in phases.items()},
        "ledger": {
            clock: {phase: mean(getattr(ledger, clock)[phase] for ledger in ledgers) for phase in ledgers[0].wall}
            for clock in ("wall", "cpu")
            if ledgers
        },
        "runs": [
            {"phases": wake.phases, "warm": wake.warm, "ledger": wake.ledger and wake.ledger._asdict()}
            for wake in wakes
        ],
    }


def _row(name: str, figures: dict[str, Any], is_first: bool) -> list[str]:
    shown = [_milliseconds(figures[one]) for one in ("median", "p90", "min", "max")]
    compared = [_format(figures["difference"], 1e3, "+.0f"), _format(figures["ratio"], 1, ".2f")]
    return [
        name,
        str(figures["wakes"]),
        _format(figures["mean"], 1e3, ".0f"),
        *shown,
        f"{figures['warm'] * 1e3:.1f}",
        *(["-", "-"] if is_first else compared),
    ]


def _phase_table(figures: dict[str, Any]) -> Table:
    rows = []
    for name, one in figures.items():
        hidden = () if one["ledger"] else ("containers", "process")
        shown = {phase: _format(estimate, 1e3, ".0f") for phase, estimate in one["phases"].items()}
        rows.append(
            [name, *("-" if phase in hidden else shown[phase] for phase in PHASES), _milliseconds(one["mean"]["value"])]
        )
    about = "\n".join(f"- `{name}`: {meaning}" for name, meaning in PHASES.items())
    note = "A server without a ledger does not tell when its process started: `publish` includes that."
    return Table(f"{about}\n\n{note}", ("service", *PHASES, "sum"), rows)


def _difference_tables(figures: dict[str, Any]) -> list[Table]:
    first, *others = figures
    comparable = [name for name in others if bool(figures[name]["ledger"]) == bool(figures[first]["ledger"])]
    rows = [
        [name, *(_format(figures[name]["phase_differences"][phase], 1e3, "+.0f") for phase in PHASES)]
        for name in comparable
    ]
    about = (
        f"By phase, the mean difference from `{first}` in the same round. Phases before `publish` have none of the "
        "chance of kubelet's tick, so they show smaller differences than the whole does."
    )
    return [Table(about, ("service", *PHASES), rows)] if rows else []


def _ledger_tables(figures: dict[str, Any]) -> list[Table]:
    rows = []
    for name, one in figures.items():
        if ledger := one["ledger"]:
            phases = ledger["wall"]
            cells = [f"{_milliseconds(phases[phase])} ({_milliseconds(ledger['cpu'][phase])})" for phase in phases]
            rows.append(
                [name, *cells, f"{_milliseconds(sum(phases.values()))} ({_milliseconds(sum(ledger['cpu'].values()))})"]
            )
            columns = ("service", *phases, "sum")
    about = "The phase `process` as the servers themselves account for it (`snooze_cold_start_seconds`): wall (CPU) ms."
    return [Table(about, columns, rows)] if rows else []


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f}"


def _format(estimate: dict[str, Any], factor: float, form: str) -> str:
    value, half_width = Estimate(**estimate)
    shown = format(value * factor, form)
    return shown if half_width is None else f"{shown} ± {format(half_width * factor, form.lstrip('+'))}"

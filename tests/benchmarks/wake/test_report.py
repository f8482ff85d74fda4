import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks.wake.conftest import NAME, Double
from tests.benchmarks.wake.recordings import read

from snooze.benchmarks.cli import bench, bench_arguments
from snooze.benchmarks.load.target import RequestOptions
from snooze.benchmarks.wake.phases import PHASES, Ledger, split
from snooze.benchmarks.wake.report import summarize
from snooze.benchmarks.wake.rounds import Options, Rounds, Wake

MACHINE: dict[str, Any] = {
    "cpu": "CPU", "cores": 2, "kernel": "6.1", "python": "3.11.7", "load_average": 0.1, "versions": {"snooze": "1"},
}  # fmt: skip
OPTIONS = Options(["hello", "tumour"], "wake", 6, RequestOptions(), None, 300.0, True)
LEDGER = Ledger(0.0, {"interpreter": 0.1, "imports": 0.2}, {"interpreter": 0.05, "imports": 0.15})


def a_wake(service: str, seconds: float, ledger: Ledger | None = None) -> Wake:
    phases = dict.fromkeys(PHASES, 0.0) | {"process": 0.3 if ledger else 0.0, "answer": 0.004}
    return Wake(service, phases | {"publish": seconds - sum(phases.values())}, 0.004, ledger)


def six_rounds() -> Rounds:
    seconds = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    return Rounds([[a_wake("hello", one), a_wake("tumour", 0.9 * one, LEDGER)] for one in seconds], [])


def test_the_table_has_intervals_and_compares_with_the_first() -> None:
    results = summarize(six_rounds(), OPTIONS, MACHINE)

    assert list(results.columns) == [
        "service", "wakes", "mean", "median", "p90", "min", "max", "warm", "- first", "/ first"
    ]  # fmt: skip
    assert results.rows == [
        ["hello", "6", "1250 ± 196", "1250", "1450", "1000", "1500", "4.0", "-", "-"],
        ["tumour", "6", "1125 ± 177", "1125", "1305", "900", "1350", "4.0", "-125 ± 20", "0.90 ± 0.00"],
    ]


def test_the_phases_sum_to_the_mean() -> None:
    results = summarize(six_rounds(), OPTIONS, MACHINE)
    phases, ledger = results.details

    assert list(phases.columns) == ["service", *PHASES, "sum"]
    hello, tumour = phases.rows
    assert hello[4:6] == ["-", "-"]
    assert tumour[4:6] == ["0 ± 0", "300 ± 0"]
    assert sum(int(cell.split()[0]) for cell in tumour[1:-1]) == int(tumour[-1]) == 1125
    assert ledger.rows == [["tumour", "100 (50)", "200 (150)", "300 (200)"]]
    assert results.figures["tumour"]["ledger"]["cpu"] == {"interpreter": 0.05, "imports": 0.15}
    assert len(results.figures["tumour"]["runs"]) == 6


def test_phases_are_compared_where_both_have_or_lack_a_ledger() -> None:
    ours = [[a_wake("old", 1 + 0.1 * one, LEDGER), a_wake("new", 1 + 0.2 * one, LEDGER)] for one in range(6)]

    _, differences, _ = summarize(Rounds(ours, []), OPTIONS, MACHINE).details

    assert differences.rows == [
        ["new", "+0 ± 0", "+0 ± 0", "+0 ± 0", "+0 ± 0", "+0 ± 0", "+250 ± 196", *["+0 ± 0"] * 3]
    ]


def test_services_without_a_ledger_have_no_table_of_it() -> None:
    rounds = Rounds([[a_wake("hello", 1.0)]], [])

    assert len(summarize(rounds, OPTIONS, MACHINE).details) == 1


def test_recorded_wakes_are_reported() -> None:
    wakes = []
    for name in ("hello", "tumour"):
        exchange, events, ledger = read(name)
        wakes.append(Wake(name, split(exchange, events, ledger), exchange.warm, ledger))

    text = summarize(Rounds([wakes], []), OPTIONS._replace(rounds=1), MACHINE).as_markdown()

    assert "| tumour | 1 | " in text
    assert all(f"- `{phase}`: " in text for phase in PHASES)


def test_a_round_that_failed_is_a_warning() -> None:
    rounds = six_rounds()
    rounds.failures.append("round 7: cannot measure a wake of 'hello': http://hello answered 503")

    results = summarize(rounds, OPTIONS, MACHINE, ["The machine was busy."])

    assert results.warnings == [
        "The machine was busy.",
        "round 7: cannot measure a wake of 'hello': http://hello answered 503; that round is left out.",
    ]


def test_slow_probing_by_the_activator_is_a_warning() -> None:
    slow = a_wake("hello", 5.0)
    slow = slow._replace(phases=slow.phases | {"publish": 0.5, "rest": 4.5})

    warnings = summarize(Rounds([[slow], [a_wake("hello", 1.0)]], []), OPTIONS, MACHINE).warnings

    assert [warning[:50] for warning in warnings] == ["After 1 wakes of hello had an address, the answer "]


@pytest.mark.parametrize(("skip_drain", "said"), [(True, True), (False, False)])
def test_the_method_says_whether_pods_drained(skip_drain: bool, said: bool) -> None:
    method = summarize(six_rounds(), OPTIONS._replace(skip_drain=skip_drain), MACHINE).method

    assert ("deleted at once" in method) == said


def test_without_a_complete_round_there_is_no_row() -> None:
    results = summarize(Rounds([], ["round 1: no answer"]), OPTIONS, MACHINE)

    assert (results.rows, results.figures) == ([], {})


@pytest.mark.process
def test_the_command_wakes_services_and_writes_the_report(knative: Double, tmp_path: Path) -> None:
    parser, stem = argparse.ArgumentParser(), tmp_path / "wakes"
    bench_arguments(parser)
    options = ["--namespace=wake", "--path=/", "-n=1", "--skip-drain", f"--output={stem}"]

    assert bench(parser.parse_args(["cold", f"--knative={NAME}", *options])) == 0

    assert json.loads(stem.with_suffix(".json").read_text())["figures"][NAME]["wakes"] == 1
    assert f"| {NAME} | 1 | " in stem.with_suffix(".md").read_text()

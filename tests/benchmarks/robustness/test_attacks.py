import os
import subprocess
import sys
from pathlib import Path

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.meters import MIB
from snooze.benchmarks.robustness.attacks import NAMES, Outcome, exit_code, failures, judge, run, summarize
from snooze.benchmarks.robustness.witness import Sightings
from snooze.bundle.errors import InvalidOption

QUICK = "tiny,tiny-pipelined,huge-heads,tiny-chunks"


@pytest.mark.process
def test_small_attacks_are_made_and_reported(bundle: Path) -> None:
    try:
        results = run(bundle, QUICK, 112 * MIB, 0.002)
    except NotMeasurable as error:
        pytest.skip(str(error))

    assert list(results.figures) == QUICK.split(",")
    assert failures(results) == []
    tiny = results.figures["tiny"]
    assert tiny["attackers"] == {"200": 200}
    assert tiny["witness"]["wrong"] == 0
    assert 0 < tiny["anonymous_mib"] <= tiny["peak_mib"] <= 112


@pytest.mark.process
def test_the_end_of_a_server_is_measured_from_its_last_answer(bundle: Path) -> None:
    try:
        results = run(bundle, "sigterm", 112 * MIB, 0.02)
    except NotMeasurable as error:
        pytest.skip(str(error))

    counts = results.figures["sigterm"]["attackers"]
    assert counts["200"] > 0
    assert 0 <= counts["ms to the end"] < 60_000


@pytest.mark.process
def test_a_server_without_enough_memory_fails(bundle: Path) -> None:
    try:
        results = run(bundle, "largest-bodies", 48 * MIB, 0.05)
    except NotMeasurable as error:
        pytest.skip(str(error))

    (problems,) = [one["problems"] for one in results.figures.values()]
    if problems:  # it survives only if its budget follows from the limit
        assert problems[0] == "killed for lack of memory"


@pytest.mark.parametrize(
    ("counts", "seen", "problems"),
    [
        ({"200": 9, "413": 1, "reset": 2}, Sightings(right=90, declined=10), []),
        ({"500": 2}, Sightings(right=1), ["2 answers 500"]),
        ({"open": 3, "silent": 1}, Sightings(right=1), ["3 open", "1 silent"]),
        ({}, Sightings(right=99, wrong=1), ["1 wrong answers to the witness"]),
        ({}, Sightings(right=8, lost=2), ["8 of 10 right answers to the witness"]),
    ],
)
def test_what_makes_an_attack_fail(counts: dict[str, int], seen: Sightings, problems: list[str]) -> None:
    assert judge(counts, seen) == problems


def test_the_table_has_a_row_for_each_attack() -> None:
    passed = Outcome("gzip", "bodies", 3.2, {"200": 2, "413": 1}, Sightings(right=9, p99_ms=12.3), 50.0, 40.0, 30.0, [])
    failed = Outcome("tiny", "requests", 1.0, {}, Sightings(), 112.0, 100.0, 0.0, ["killed for lack of memory"])

    results = summarize([passed, failed], 112 * MIB, 1000)

    assert results.rows == [
        ["gzip", "passed", "200: 2, 413: 1", "9 of 9", "12", "50", "40", "30", "3"],
        ["tiny", "killed for lack of memory", "", "-", "-", "112", "100", "0", "1"],
    ]
    assert failures(results) == ["tiny"]
    assert results.figures["gzip"]["about"] == "bodies"


def test_unknown_attacks_are_refused(bundle: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        run(bundle, "gzip,tickle", MIB, 1.0)

    assert caught.value.option == "--attacks"
    assert NAMES[-1] in caught.value.problem


@pytest.mark.process
@pytest.mark.parametrize(("code", "expected"), [("import time; time.sleep(60)", None), ("import sys; sys.exit(3)", 3)])
def test_the_exit_code_of_a_child_is_left_to_its_parent(code: str, expected: int | None) -> None:
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        if expected is not None:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert exit_code(process.pid) == expected
        process.kill()
        assert process.wait() == (-9 if expected is None else expected)

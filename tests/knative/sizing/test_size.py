import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.knative.bundles import MIB, a_bundle, a_profile, size_of

from snooze.bundle.errors import InvalidOption
from snooze.bundle.limits import MEMORY_FACTOR, memory_left
from snooze.knative.errors import TooSlow
from snooze.knative.sizing.calibration import read_figures
from snooze.knative.sizing.prediction import peak_bytes
from snooze.knative.sizing.size import largest_body
from snooze.service.process.memory import find_budget
from snooze.service.requests import memory_needed

CALIBRATION = read_figures().calibration
HEAVY = a_bundle((1, 0.5), (64, 32.0))


def test_one_pod_is_busy_for_seventy_percent_of_the_time() -> None:
    needed = size_of(HEAVY, 10)

    assert needed.rps_per_pod == pytest.approx(0.7 / 0.5, rel=0.01)
    assert needed.pods == 8
    assert needed.pod.rps == 1.25
    assert needed.cpu_request == pytest.approx(1.25 * 0.5, rel=0.01)


def test_a_shorter_p99_needs_more_pods() -> None:
    assert size_of(HEAVY, 10, p99_seconds=0.6).pods > size_of(HEAVY, 10, p99_seconds=10).pods == 8


@given(st.floats(0.1, 1e3), st.floats(0.55, 100))
def test_the_predicted_p99_is_at_most_the_one_asked_for(rps: float, p99_seconds: float) -> None:
    needed = size_of(HEAVY, rps, p99_seconds)

    assert needed.pod.p99_seconds <= p99_seconds
    assert needed.pods * needed.rps_per_pod >= rps * (1 - 1e-9)


def test_refuses_a_p99_shorter_than_a_single_request() -> None:
    with pytest.raises(TooSlow) as caught:
        size_of(HEAVY, 1, p99_seconds=0.2)

    assert caught.value.asked_seconds == 0.2
    assert caught.value.best_seconds == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "option", "problem"),
    [
        ((0.0,), "--rps", "expected a rate above 0 and up to 1e+09, got 0"),
        ((-1.0,), "--rps", "expected a rate above 0 and up to 1e+09, got -1"),
        ((math.inf,), "--rps", "expected a rate above 0 and up to 1e+09, got inf"),
        ((math.nan,), "--rps", "expected a rate above 0 and up to 1e+09, got nan"),
        ((1.0, 0.0), "--p99", "expected a time above 0, got 0 s"),
        ((1.0, None, 0), "--rows", "expected at least 1, got 0"),
    ],
)
def test_refuses_an_impossible_load(arguments: tuple[Any, ...], option: str, problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        size_of(HEAVY, *arguments)

    assert (caught.value.option, caught.value.problem) == (option, problem)


def test_a_cold_start_gets_a_core_per_thread() -> None:
    needed = size_of(a_bundle(), 1)

    assert (needed.cpu_request, needed.cpu_limit) == (0.05, 1)
    assert size_of(a_bundle((1, 0.01), threads=2), 1).cpu_limit == 2


def test_memory_covers_the_most_rows_and_any_body_up_to_the_largest() -> None:
    needed = size_of(a_bundle(), 1)

    assert needed.memory_request == peak_bytes(a_profile(), 64, CALIBRATION)
    room = memory_left(needed.memory_limit, needed.memory_request)
    assert room == pytest.approx((1 + MEMORY_FACTOR) * MIB, abs=8)
    assert size_of(a_bundle(), 1, max_body=1).memory_limit == pytest.approx(1.25 * needed.memory_request, abs=50)


@pytest.mark.parametrize(("columns", "mebibytes"), [(30, 1), (2000, 3), (150_528, 16)])
def test_the_largest_body_is_that_of_the_most_rows_as_json(columns: int, mebibytes: int) -> None:
    assert largest_body(a_bundle(columns=columns), a_profile()) == mebibytes * MIB


@pytest.mark.parametrize(
    ("run_seconds", "p99_seconds", "concurrency", "burst_capacity"),
    [
        (0.050, None, 0, 211),  # without a p99 there is nothing to protect
        (0.050, 0.500, 9, 211),
        (0.050, 0.160, 3, -1),  # few slots: the activator must know which pod has a free one
        (0.0001, 0.500, 0, 0),  # so many fit that a limit would only reject
    ],
)
def test_concurrency_is_what_fits_into_the_p99(
    run_seconds: float, p99_seconds: float | None, concurrency: int, burst_capacity: int
) -> None:
    needed = size_of(a_bundle((1, run_seconds)), 1, p99_seconds)

    assert (needed.concurrency, needed.burst_capacity) == (concurrency, burst_capacity)
    assert needed.target <= needed.concurrency or needed.concurrency == 0


def test_a_size_can_be_written_as_json() -> None:
    document = json.loads(json.dumps(asdict(size_of(a_bundle(), 10, 0.1))))

    assert document["pods"] == 1
    assert document["pod"]["rps"] == 10
    assert document["deviations"]["cpu_cores"]["typical"] > 0


@pytest.mark.parametrize("max_body", [2**16, 2**20, 2**26])
@pytest.mark.parametrize("value", [1, 1.5, -0.12345678])
def test_a_sized_pod_has_the_memory_for_its_largest_body(max_body: int, value: float, tmp_path: Path) -> None:
    """The server refuses what does not fit its budget, which follows from the pod's limit and what the model takes."""
    needed = size_of(a_bundle((1, 0.001), (64, 0.01)), 10, max_body=max_body)
    (tmp_path / "statm").write_text(f"0 {needed.memory_request // os.sysconf('SC_PAGE_SIZE')} 0 0 0 0 0")
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "memory.max").write_text(str(needed.memory_limit))
    rows = json.dumps({"rows": [[value] * 10] * 1000}, separators=(",", ":")).encode()
    factor = 1 + memory_needed(rows, len(rows), False, 0) / len(rows)

    assert find_budget(tmp_path, tmp_path) >= factor * max_body

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.knative.bundles import MEMORY, MIB, a_bundle

from snooze.knative.calibration import BETA, BODY_FACTOR, MEASURED
from snooze.knative.cost import machine_scale
from snooze.knative.errors import InvalidOption, NoProfile, TooSlow
from snooze.knative.sizing import largest_body, peak_bytes, predict, size

HEAVY = a_bundle((1, 0.5), (64, 32.0))  # beside half a second the server's own part is nothing


def test_cpu_follows_the_rate_and_the_time_of_a_run() -> None:
    assert predict(HEAVY, 1.5).cpu_cores == pytest.approx(1.5 * 0.5, rel=0.01)
    assert predict(HEAVY, 0.5).cpu_cores == pytest.approx(0.5 * 0.5, rel=0.01)


def test_a_run_on_two_threads_takes_twice_the_cpu_but_not_the_time() -> None:
    heavy = a_bundle((1, 0.5), threads=2)

    assert predict(heavy, 1).cpu_cores == pytest.approx(2 * 0.5, rel=0.01)
    assert predict(heavy, 1).utilization == pytest.approx(0.5, rel=0.01)


def test_more_cannot_be_answered_than_there_is_time() -> None:
    saturated = predict(HEAVY, 1000)

    assert saturated.utilization == 1
    assert saturated.cpu_cores == pytest.approx(1, rel=0.01)
    assert saturated.p50_seconds == saturated.p99_seconds == math.inf


def test_nobody_waits_where_nobody_comes() -> None:
    idle = predict(HEAVY, 0)

    assert idle.p50_seconds == idle.p99_seconds == pytest.approx(0.5, rel=0.01)
    assert (idle.cpu_cores, idle.in_flight) == (0, 0)


def test_the_tail_is_that_of_a_queue_with_one_place() -> None:
    # M/D/1 at 80 %: the mean of those who wait is S / (2 * (1 - 0.8)) = 2.5 S, and 80 in 100 wait.
    busy = predict(HEAVY, 1.6)

    assert busy.p99_seconds / 0.5 == pytest.approx(1 + 2.5 * math.log(0.8 / 0.01), rel=0.05)


def test_an_uneven_run_makes_the_tail_longer() -> None:
    uneven = a_bundle((1, 0.5), spread=0.5)

    assert predict(uneven, 1).p99_seconds > predict(HEAVY, 1).p99_seconds


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [(1, 0.10), (2, 0.12), (3, 0.15), (4, 0.18), (8, 0.30)],
    ids=["measured", "measured too", "between", "the last", "beyond"],
)
def test_rows_are_read_off_the_measured_line(rows: int, seconds: float) -> None:
    bundle = a_bundle((4, 0.18), (1, 0.10), (2, 0.12), columns=1)

    assert predict(bundle, 0, rows).p50_seconds == pytest.approx(seconds, abs=2e-3)


def test_one_measurement_is_taken_as_proportional_to_rows() -> None:
    assert predict(a_bundle((8, 0.8)), 0, 4).p50_seconds == pytest.approx(0.4, rel=0.01)


def test_wide_rows_cost_the_server_more() -> None:
    narrow, wide = predict(a_bundle(columns=4), 100), predict(a_bundle(columns=4000), 100)

    extra = 100 * (4000 - 4) * MEASURED.value_seconds
    assert wide.cpu_cores - narrow.cpu_cores == pytest.approx(extra, rel=0.1)


def test_a_slower_machine_makes_the_servers_part_slower_but_not_the_models() -> None:
    slow = a_bundle((1, 0.5), interpreter_seconds=2 * MEASURED.interpreter_seconds)

    added = predict(HEAVY, 0).p50_seconds - 0.5
    assert machine_scale(slow) == 2
    assert predict(slow, 0).p50_seconds - 0.5 == pytest.approx(2 * added)


@pytest.mark.parametrize("more", [{}, {"interpreter_seconds": 0}, {"interpreter_seconds": "fast"}])
def test_a_machine_that_nobody_measured_counts_as_the_calibrating_one(more: dict[str, Any]) -> None:
    assert machine_scale(a_bundle(**more)) == 1


def test_memory_is_the_servers_and_what_the_model_added() -> None:
    assert peak_bytes(a_bundle()) == MEASURED.server_bytes + 12 * MIB
    assert peak_bytes(a_bundle(), rows=2) == MEASURED.server_bytes + 22 * MIB


def test_memory_follows_the_models_size_where_it_was_not_measured() -> None:
    small, large = (peak_bytes(a_bundle(memory={"model_bytes": size * MIB})) for size in (10, 110))

    assert large - small == pytest.approx(100 * MIB * BETA)


@pytest.mark.parametrize("memory", [{}, {"runs": 3, "one_row": None}, {"model_bytes": "5 MB"}])
def test_says_that_a_profile_without_memory_cannot_be_sized(memory: dict[str, Any]) -> None:
    with pytest.raises(NoProfile) as caught:
        peak_bytes(a_bundle(memory=memory))

    assert str(caught.value) == (
        "tumour version 3 has no measured memory in its profile, so it cannot be sized; convert the model again"
    )


def test_says_that_a_profile_without_run_times_cannot_be_sized() -> None:
    bundle = a_bundle()
    object.__setattr__(bundle.profile, "run", ())

    with pytest.raises(NoProfile, match="has no measured run times"):
        size(bundle, 10)


def test_one_pod_is_busy_for_seven_tenths_of_the_time() -> None:
    needed = size(HEAVY, 10)

    assert needed.rps_per_pod == pytest.approx(0.7 / 0.5, rel=0.01)
    assert needed.pods == 8
    assert needed.pod.rps == 1.25
    assert needed.cpu_request == pytest.approx(1.25 * 0.5, rel=0.01)


def test_a_promise_makes_for_more_pods() -> None:
    assert size(HEAVY, 10, p99_seconds=0.6).pods > size(HEAVY, 10, p99_seconds=10).pods == 8


@given(st.floats(0.1, 1e3), st.floats(0.55, 100))
def test_what_was_promised_is_predicted(rps: float, p99_seconds: float) -> None:
    needed = size(HEAVY, rps, p99_seconds)

    assert needed.pod.p99_seconds <= p99_seconds
    assert needed.pods * needed.rps_per_pod >= rps * (1 - 1e-9)


def test_says_that_a_promise_cannot_be_kept() -> None:
    with pytest.raises(TooSlow) as caught:
        size(HEAVY, 1, p99_seconds=0.2)

    assert str(caught.value).startswith("gate p99: 200 ms was asked for, but a single request alone takes 50")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "--rps: expected a rate above 0 and up to 1e+09, got 0"),
        ((-1.0,), "--rps: expected a rate above 0 and up to 1e+09, got -1"),
        ((math.inf,), "--rps: expected a rate above 0 and up to 1e+09, got inf"),
        ((1.0, 0.0), "--p99: expected a time above 0, got 0 s"),
        ((1.0, None, 0), "--rows: expected at least 1, got 0"),
    ],
)
def test_refuses_a_load_that_makes_no_sense(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        size(HEAVY, *arguments)

    assert str(caught.value) == message


def test_a_cold_start_gets_a_whole_core_and_a_little_of_its_own() -> None:
    needed = size(a_bundle(), 1)

    assert (needed.cpu_request, needed.cpu_limit) == (0.05, 1)
    assert size(a_bundle((1, 0.01), threads=2), 1).cpu_limit == 2


def test_memory_is_that_of_the_largest_requests_with_room_above() -> None:
    needed = size(a_bundle(), 1)

    assert needed.memory_request == peak_bytes(a_bundle(), rows=64)
    assert needed.memory_limit == pytest.approx(1.25 * needed.memory_request + BODY_FACTOR * MIB, abs=1)
    assert size(a_bundle(), 1, max_body=9 * MIB).memory_limit == needed.memory_limit + 8 * BODY_FACTOR * MIB


@pytest.mark.parametrize(("columns", "mebibytes"), [(30, 1), (2000, 3), (150_528, 16)])
def test_the_largest_body_is_that_of_the_most_rows_as_json(columns: int, mebibytes: int) -> None:
    assert largest_body(a_bundle(columns=columns)) == mebibytes * MIB


@pytest.mark.parametrize(
    ("run_seconds", "p99_seconds", "concurrency", "burst_capacity"),
    [
        (0.050, None, 0, 211),  # nothing promised, nothing to protect
        (0.050, 0.500, 9, 211),
        (0.050, 0.160, 3, -1),  # few slots: the activator must know which pod has one
        (0.0001, 0.500, 0, 0),  # so many fit that a limit would only reject
    ],
)
def test_concurrency_follows_from_what_fits_into_the_promise(
    run_seconds: float, p99_seconds: float | None, concurrency: int, burst_capacity: int
) -> None:
    needed = size(a_bundle((1, run_seconds)), 1, p99_seconds)

    assert (needed.concurrency, needed.burst_capacity) == (concurrency, burst_capacity)
    assert needed.target <= needed.concurrency or needed.concurrency == 0


def test_a_size_can_be_said_in_json() -> None:
    import json

    document = json.loads(json.dumps(size(a_bundle(), 10, 0.1).as_dict()))

    assert document["pods"] == 1
    assert document["pod"]["rps"] == 10
    assert document["memory_request"] == MEMORY["runs"]["peak"] - 40 * MIB + MEASURED.server_bytes

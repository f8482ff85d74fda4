import math

import pytest
from tests.knative.bundles import INTERPRETER_SECONDS, a_bundle, a_profile

from snooze.knative.sizing.calibration import read_figures
from snooze.knative.sizing.cost import Cost, cost_of, machine_scale, run_of

CALIBRATION = read_figures().calibration


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [(1, 0.10), (2, 0.12), (3, 0.15), (4, 0.18), (8, 0.30)],
    ids=["measured", "measured too", "between", "the last", "beyond"],
)
def test_interpolates_between_measured_rows(rows: int, seconds: float) -> None:
    profile = a_profile((4, 0.18), (1, 0.10), (2, 0.12))

    assert run_of(profile, rows).seconds == pytest.approx(seconds)


def test_one_measurement_counts_as_proportional_to_rows() -> None:
    assert run_of(a_profile((8, 0.8)), 4).seconds == pytest.approx(0.4)


def test_wide_rows_cost_the_server_more() -> None:
    narrow, wide = (cost_of(a_bundle(columns=columns), a_profile(), 1, 100, CALIBRATION) for columns in (4, 4000))

    assert wide.cpu - narrow.cpu == pytest.approx((4000 - 4) * CALIBRATION.value_seconds)


def test_a_slower_machine_slows_the_server_but_not_the_measured_run() -> None:
    fast, slow = a_profile((1, 0.5)), a_profile((1, 0.5), interpreter_seconds=2 * INTERPRETER_SECONDS)
    costs = [cost_of(a_bundle(), profile, 1, 0, CALIBRATION).service for profile in (fast, slow)]

    assert machine_scale(slow, CALIBRATION) == 2
    assert costs[1] - 0.5 == pytest.approx(2 * (costs[0] - 0.5))


def test_a_full_server_makes_requests_wait_forever() -> None:
    full = Cost(rps=10, service=0.2, cpu=0.2, variation=0)

    assert full.utilization == 1
    assert full.wait(0.5) == full.residence == math.inf


def test_an_idle_server_makes_nobody_wait() -> None:
    idle = Cost(rps=0, service=0.2, cpu=0.2, variation=0)

    assert (idle.wait(0.99), idle.residence) == (0, 0.2)

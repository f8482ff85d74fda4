import math

import pytest
from tests.knative.bundles import MIB, a_bundle, a_profile, predicted

from snooze.knative.sizing.calibration import read_figures
from snooze.knative.sizing.prediction import peak_bytes

CALIBRATION = read_figures().calibration
HEAVY = a_bundle((1, 0.5), (64, 32.0))  # the server's own part is negligible beside half a second


def test_cpu_is_the_rate_times_the_time_of_a_run() -> None:
    assert predicted(HEAVY, 1.5).cpu_cores == pytest.approx(1.5 * 0.5, rel=0.01)
    assert predicted(HEAVY, 0.5).cpu_cores == pytest.approx(0.5 * 0.5, rel=0.01)


def test_a_run_on_two_threads_takes_twice_the_cpu_but_not_the_time() -> None:
    heavy = a_bundle((1, 0.5), threads=2)

    assert predicted(heavy, 1).cpu_cores == pytest.approx(2 * 0.5, rel=0.01)
    assert predicted(heavy, 1).utilization == pytest.approx(0.5, rel=0.01)


def test_a_server_cannot_work_more_than_all_of_the_time() -> None:
    saturated = predicted(HEAVY, 1000)

    assert saturated.utilization == 1
    assert saturated.cpu_cores == pytest.approx(1, rel=0.01)
    assert saturated.p50_seconds == saturated.p99_seconds == math.inf


def test_without_load_latency_is_the_time_of_a_request() -> None:
    idle = predicted(HEAVY, 0)

    assert idle.p50_seconds == idle.p99_seconds == pytest.approx(0.5, rel=0.01)
    assert (idle.cpu_cores, idle.in_flight) == (0, 0)


def test_the_p99_is_that_of_a_queue_with_one_place() -> None:
    # M/D/1 at 80 %: 80 of 100 requests wait, on average S / (2 * (1 - 0.8)) = 2.5 S.
    busy = predicted(HEAVY, 1.6)

    assert busy.p99_seconds / 0.5 == pytest.approx(1 + 2.5 * math.log(0.8 / 0.01), rel=0.05)


def test_a_varying_run_makes_the_p99_longer() -> None:
    assert predicted(a_bundle((1, 0.5), spread=0.5), 1).p99_seconds > predicted(HEAVY, 1).p99_seconds


def test_memory_is_the_servers_and_what_the_model_adds() -> None:
    profile = a_profile()

    assert peak_bytes(profile, 1, CALIBRATION) == CALIBRATION.server_bytes + 12 * MIB
    assert peak_bytes(profile, 2, CALIBRATION) == CALIBRATION.server_bytes + 22 * MIB

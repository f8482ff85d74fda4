from typing import Any

import pytest
from tests.knative.bundles import MIB, a_bundle, size_of

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidOption
from snooze.knative.manifest.figures import override, probe_failures, start_timeout, warnings
from snooze.knative.manifest.options import Options
from snooze.knative.sizing.size import Size

NEEDED = size_of(a_bundle((1, 0.05)), 50, 0.16)


def options(**changes: Any) -> Options:
    return Options("registry.example.com/tumour:3", "tumour", **changes)


def test_without_options_the_size_stays() -> None:
    assert override(NEEDED, options()) == NEEDED


def test_every_figure_can_be_given() -> None:
    given = override(
        NEEDED,
        options(
            cpu_request="125m",
            cpu_limit="1.5",
            memory_request="200Mi",
            memory_limit="1G",
            concurrency=20,
            target=9,
            burst_capacity=33,
        ),
    )

    assert (given.cpu_request, given.cpu_limit) == (0.125, 1.5)
    assert (given.memory_request, given.memory_limit) == (200 * MIB, 10**9)
    assert (given.concurrency, given.target, given.burst_capacity) == (20, 9, 33)


@pytest.mark.parametrize(
    ("changes", "figure", "expected"),
    [
        ({"cpu_request": "3"}, "cpu_limit", 3),
        ({"cpu_limit": "20m"}, "cpu_request", 0.02),
        ({"memory_request": "4Gi"}, "memory_limit", 4 * 1024 * MIB),
        ({"memory_limit": "10Mi"}, "memory_request", 10 * MIB),
        ({"target": 50}, "concurrency", 50),
        ({"concurrency": 1}, "target", 1),
        ({"concurrency": 2}, "burst_capacity", -1),
        ({"concurrency": 50}, "burst_capacity", 211),
        ({"concurrency": 0}, "burst_capacity", 211),
        ({"concurrency": 0}, "target", NEEDED.target),
    ],
    ids=str,
)
def test_a_figure_follows_what_it_would_contradict(changes: dict[str, Any], figure: str, expected: float) -> None:
    assert NEEDED.burst_capacity == -1
    assert getattr(override(NEEDED, options(**changes)), figure) == expected


def test_refuses_fewer_pods_than_the_load_needs() -> None:
    with pytest.raises(InvalidOption) as caught:
        override(size_of(a_bundle(), 1e6), options(max_scale=1))

    assert caught.value.option == "--max-scale"
    assert caught.value.problem.startswith("1e+06 requests/s need ")


def test_no_limit_of_pods_is_enough_for_any_load() -> None:
    override(size_of(a_bundle(), 1e6), options(max_scale=0))


@pytest.mark.parametrize(("limit", "count"), [("10Mi", 1), ("2Gi", 0), (None, 0)])
def test_warns_of_less_memory_than_the_peak(limit: str | None, count: int) -> None:
    assert len(warnings(NEEDED, override(NEEDED, options(memory_limit=limit)))) == count


def timeout(bundle: Bundle, size: Size, **changes: Any) -> int:
    given = options(**changes)
    return start_timeout(bundle, override(size, given), given)


def test_a_start_may_take_several_times_as_long_as_calculated() -> None:
    small, large = a_bundle(), a_bundle(model_bytes=4 * 2**30)
    needed = size_of(small, 1)

    assert timeout(small, needed, cpu_request="1") == 60
    assert (
        timeout(small, needed, cpu_request="50m") == 70
    )  # 0.5 s for the server, 10 ms for the model, 20 ms to read it
    assert timeout(small, needed, cpu_request="5m") > 600
    assert timeout(large, needed, cpu_request="1") == 110
    assert timeout(large, needed, cpu_request="8") == 110  # a start uses one core
    assert timeout(small, needed, start_timeout=7.0) == 7


@pytest.mark.parametrize(("longest", "failures"), [(45.0, 5), (60.0, 7), (600.0, 61)])
def test_more_probes_must_fail_than_fit_into_the_longest_request(longest: float, failures: int) -> None:
    assert probe_failures(options(timeout=longest)) == failures

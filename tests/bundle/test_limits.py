import pytest

from snooze.bundle.limits import MEMORY_FACTOR, memory_left, memory_limit

MIB = 2**20


def test_a_request_takes_at_most_forty_times_its_size() -> None:
    assert 1 < MEMORY_FACTOR <= 40


@pytest.mark.parametrize("used", [0, 38 * MIB, 10**10])
@pytest.mark.parametrize("requests", [0, 1, 41 * MIB])
def test_a_limit_leaves_what_it_was_made_for(used: int, requests: int) -> None:
    assert 0 <= memory_left(memory_limit(used, requests), used) - requests <= 8

from snooze.bundle.limits import MEMORY_FACTOR


def test_a_request_takes_at_most_forty_times_its_size() -> None:
    assert 1 < MEMORY_FACTOR <= 40

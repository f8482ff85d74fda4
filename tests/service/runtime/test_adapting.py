import asyncio
import threading
from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import Any

import pytest

from snooze.bundle.adapters.interface import Arrays
from snooze.bundle.errors import InvalidRow
from snooze.service.errors import DeadlineExceeded, Overloaded
from snooze.service.runtime.adapting import Adapting
from snooze.service.runtime.scheduler import Capacity


def apply(rows: Sequence[Any]) -> Arrays:
    """Make no inputs, but say in which thread."""
    raise InvalidRow("text", 0, threading.current_thread().name)


def test_works_in_a_thread_and_counts_meanwhile() -> None:
    capacity = Capacity(1)
    counts = []

    def count(rows: Sequence[Any]) -> Arrays:
        counts.append(capacity.count)
        return apply(rows)

    with pytest.raises(InvalidRow) as caught:
        asyncio.run(Adapting(capacity).run(count, ["a"], perf_counter(), inf))

    assert caught.value.problem.startswith("adapter")
    assert (counts, capacity.count) == ([1], 0)


def test_what_is_too_late_is_not_begun() -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(Adapting(Capacity(1)).run(apply, ["a"], perf_counter() - 2, 1.5))

    assert caught.value.seconds == 1.5


def test_what_is_too_much_is_refused() -> None:
    with pytest.raises(Overloaded):
        asyncio.run(Adapting(Capacity(0)).run(apply, ["a"], perf_counter(), inf))

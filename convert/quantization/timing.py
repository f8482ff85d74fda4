"""Measures alternatives side by side: in turns, so that a change in the machine's speed affects all of them."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

ROUNDS: Final = 5
SECONDS: Final = 0.04  # for each alternative in each round
MIN_STARTS: Final = 3
MAX_STARTS: Final = 25
SECONDS_OF_STARTS: Final = 0.25


def run_seconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the seconds of one call: the median of its best round, which other work disturbs least."""
    for call in calls.values():
        _median(call, SECONDS)  # warms up
    medians: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            medians[name].append(_median(call, SECONDS))
    return {name: min(found) for name, found in medians.items()}


def start_seconds(starts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of a start: of as many as fit into a quarter of a second, at least 3, at most 25."""
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(MAX_STARTS):
        for name, start in starts.items():
            if len(taken[name]) < MIN_STARTS or sum(taken[name]) < SECONDS_OF_STARTS:
                begin = time.perf_counter()
                start()
                taken[name].append(time.perf_counter() - begin)
    return {name: median(found) for name, found in taken.items()}


def _median(call: Callable[[], object], seconds: float) -> float:
    clock = time.perf_counter
    taken: list[float] = []
    now = clock()
    end = now + seconds
    while now < end or not taken:
        call()
        after = clock()
        taken.append(after - now)
        now = after
    return median(taken)

"""Adapters that take long, such as the decoding of a picture, work in threads and keep the event loop free."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from snooze.bundle.adapters.interface import Arrays
from snooze.service.errors import DeadlineExceeded, Overloaded
from snooze.service.process.cpu import allowed
from snooze.service.runtime.scheduler import Capacity


class Adapting:
    """As many threads as there are processors. What waits for them counts as predictions that wait."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._threads = ThreadPoolExecutor(allowed(), "adapter")

    async def run(
        self, apply: Callable[[Sequence[Any]], Arrays], rows: Sequence[Any], began: float, seconds: float
    ) -> Arrays:
        """
        Return the inputs that an adapter makes of rows. `began` and `seconds` are those of `Scheduler.submit`.

        Raises:
            Overloaded: too many wait.
            DeadlineExceeded: its turn came too late.
            InvalidRow: as `apply`.
        """
        if self._capacity.count >= self._capacity.limit:
            limit = self._capacity.limit
            raise Overloaded(f"{limit} predictions are running or waiting, the limit of this server")
        self._capacity.count += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _apply, apply, rows, began, seconds)
        finally:
            self._capacity.count -= 1


def _apply(apply: Callable[[Sequence[Any]], Arrays], rows: Sequence[Any], began: float, seconds: float) -> Arrays:
    if perf_counter() - began > seconds:
        raise DeadlineExceeded(seconds)
    return apply(rows)

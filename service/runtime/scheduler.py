"""
Between endpoint and model: whether a prediction is admitted, and where, when and how long it may run.

A model that runs on the event loop (`run_in: loop`) runs before `submit` returns, without a task or a future. A model
that runs in a thread keeps the loop free; a run that exceeds its time is abandoned.
"""

import asyncio
from collections.abc import Awaitable
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from snooze.service.errors import DeadlineExceeded, Overloaded
from snooze.service.messages import Call
from snooze.service.process.cpu import allowed
from snooze.service.protocols.tensors import Array
from snooze.service.runtime.model import Model

if TYPE_CHECKING:
    from concurrent.futures import Future as ThreadFuture
    from concurrent.futures import ThreadPoolExecutor

    from snooze.service.state import ServerState


class Capacity:
    """What the models of one server share: the number of predictions that wait or run in threads, and the threads."""

    __slots__ = ("_threads", "count", "limit")

    def __init__(self, limit: int) -> None:
        """`limit` is the most predictions."""
        self.limit = limit
        self.count = 0
        self._threads: ThreadPoolExecutor | None = None

    @property
    def uses_threads(self) -> bool:
        """Whether a run may still be going on in a thread."""
        return self._threads is not None

    @property
    def threads(self) -> "ThreadPoolExecutor":
        """As many threads as there are processors."""
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(allowed(), "run")
        return self._threads


class Scheduler:
    """Runs the predictions of one model."""

    def __init__(self, model: Model, state: "ServerState") -> None:
        self._model = model
        self._capacity = state.capacity
        self._in_thread = model.bundle.session.run_in == "executor"
        labels = (model.name, str(model.version))
        self._run_seconds = state.metrics.run.histogram(*labels)
        self._queue_seconds = state.metrics.queue.histogram(*labels)
        self._rows = state.metrics.rows.histogram(*labels)

    def submit(self, call: Call, began: float, seconds: float) -> list[Array] | Awaitable[list[Array]]:
        """
        Run a call, or admit it to run later.

        Returns the arrays of `call.outputs`, or something to await for them; if that is cancelled before the run has
        begun, it never begins. `began` is when the request began to arrive (`perf_counter`, or the loop's time, which
        is the same clock), `seconds` how long it may take from then on.

        Raises:
            Overloaded: too many predictions wait.
            DeadlineExceeded: the time is over.
            InvalidRequest, RunFailed: as `Model.run`.
        """
        start = perf_counter()
        if start - began > seconds:
            raise DeadlineExceeded(seconds)
        if self._in_thread:
            return self._run_in_thread(call, start - began, seconds)
        arrays = self._model.run(call.outputs, call.feeds)
        self._run_seconds.observe(perf_counter() - start)
        self._rows.observe(self._model.rows(call.feeds))
        return arrays

    def _run_in_thread(self, call: Call, elapsed: float, seconds: float) -> Awaitable[list[Array]]:
        capacity = self._capacity
        if capacity.count >= capacity.limit:
            raise Overloaded(f"{capacity.limit} predictions are running or waiting, the limit of this server")
        loop = asyncio.get_running_loop()
        submitted = perf_counter()

        def run() -> list[Array]:
            start = perf_counter()
            self._queue_seconds.observe(start - submitted)
            arrays = self._model.run(call.outputs, call.feeds)
            self._run_seconds.observe(perf_counter() - start)
            self._rows.observe(self._model.rows(call.feeds))
            return arrays

        capacity.count += 1
        future = capacity.threads.submit(run)
        # An abandoned run still uses its thread, so it counts until it really ends.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        return _wait(future, elapsed, seconds)

    def _release(self) -> None:
        self._capacity.count -= 1


async def _wait(future: "ThreadFuture[list[Array]]", elapsed: float, seconds: float) -> list[Array]:
    if seconds == inf:
        return await asyncio.wrap_future(future)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds - elapsed)
    except TimeoutError:
        raise DeadlineExceeded(seconds) from None

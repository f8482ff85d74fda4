"""
Between endpoint and model: how many predictions are admitted, and where, when and how long each may run.

A model that runs on the event loop (`run_in: loop`) runs before `submit` returns, without a task or a future. A model
that runs in a thread keeps the loop free; a run that exceeds its time is abandoned: ONNX Runtime cannot stop it.
"""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Executor
from concurrent.futures import Future as ThreadFuture
from math import inf
from time import perf_counter

from snooze.service.errors import DeadlineExceeded
from snooze.service.messages import Call
from snooze.service.metrics import Metrics
from snooze.service.protocols.tensors import Array
from snooze.service.runtime.model import Model


class Admission:
    """Counts the predictions of one server from their complete body to the end of their run; `limit` is the most."""

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0


class Scheduler:
    """Runs the predictions of one model."""

    def __init__(self, model: Model, admission: Admission, metrics: Metrics, threads: Executor | None = None) -> None:
        """With `threads`, runs of a model with `run_in: executor` happen there; all others happen on the loop."""
        self._model = model
        self._admission = admission
        self._threads = threads if model.bundle.session.run_in == "executor" else None
        labels = (model.name, str(model.version))
        self._run_seconds = metrics.run.histogram(*labels)
        self._queue_seconds = metrics.queue.histogram(*labels)
        self._rows = metrics.rows.histogram(*labels)

    def submit(self, call: Call, arrived: float, seconds: float) -> list[Array] | Awaitable[list[Array]]:
        """
        Run an admitted call, and release its admission when the run has ended.

        Returns the arrays of `call.outputs`, or something to await for them. `arrived` is when the request came
        (`perf_counter`), `seconds` how long it may take from then on.

        Raises:
            DeadlineExceeded: the time is over.
            InvalidRequest, RunFailed: as `Model.run`.
        """
        if self._threads is not None:
            return self._run_in_thread(self._threads, call, arrived, seconds)
        try:
            start = perf_counter()
            if start - arrived > seconds:
                raise DeadlineExceeded(seconds)
            arrays = self._model.run(call.outputs, call.feeds)
            self._run_seconds.observe(perf_counter() - start)
            self._rows.observe(self._model.rows(call.feeds))
            return arrays
        finally:
            self._admission.count -= 1

    def _run_in_thread(self, threads: Executor, call: Call, arrived: float, seconds: float) -> Awaitable[list[Array]]:
        loop = asyncio.get_running_loop()
        submitted = perf_counter()

        def run() -> list[Array]:
            start = perf_counter()
            self._queue_seconds.observe(start - submitted)
            arrays = self._model.run(call.outputs, call.feeds)
            self._run_seconds.observe(perf_counter() - start)
            self._rows.observe(self._model.rows(call.feeds))
            return arrays

        future = threads.submit(run)
        # An abandoned run still uses its thread, so it counts until it really ends.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        return _wait(future, submitted - arrived, seconds)

    def _release(self) -> None:
        self._admission.count -= 1


async def _wait(future: ThreadFuture[list[Array]], elapsed: float, seconds: float) -> list[Array]:
    if seconds == inf:
        return await asyncio.wrap_future(future)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds - elapsed)
    except TimeoutError:
        raise DeadlineExceeded(seconds) from None

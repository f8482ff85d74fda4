"""
Between endpoint and model: whether a prediction is admitted, and where, when and how long it may run.

A short run happens on the event loop before `submit` returns, without a task or a future. Everything else waits in a
line (`queues.py`): what is predicted to take long runs in a thread and keeps the loop free; where the profile says that
joining pays, what waits is joined; and what would keep the loop from other requests for too long waits for its next
turn. What cannot be answered in time is refused as soon as that is known.
"""

import asyncio
from collections.abc import Awaitable
from functools import partial
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final

from snooze.service.errors import DeadlineExceeded, Overloaded
from snooze.service.messages import Call
from snooze.service.metrics import Histogram
from snooze.service.process.cpu import allowed
from snooze.service.protocols.tensors import Array
from snooze.service.runtime.cost import Cost
from snooze.service.runtime.model import Model

if TYPE_CHECKING:
    from snooze.service.runtime.queues import Job, Line, Outcome, Place, Run, Threads, Turns
    from snooze.service.state import ServerState

SLICE: Final = 0.005  # seconds of runs in one turn of the event loop; then it looks at other requests and probes
THREAD_SECONDS: Final = 0.005  # a longer run happens in a thread; the way there and back takes 0.03 to 0.2 ms
LEARN_SECONDS: Final = 0.0002  # of shorter runs nothing is learnt: that would cost more than it is worth
JOIN_SECONDS: Final = 0.00003  # joining has to save so much per row on the loop: to wait for a turn costs 20 to 50 us
MARGIN: Final = 1.4  # predictions may be wrong, and the answer still has to be written


class Capacity:
    """
    What the models of one server share: the places where they run, and how much is going on.

    `count` is the number of predictions that wait or run elsewhere than at once on the loop, `limit` the most;
    `loop_seconds` is how long runs have taken on the loop since `Turns` renewed it.
    """

    __slots__ = ("_threads", "_turns", "count", "limit", "loop_seconds")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.loop_seconds = 0.0
        self._threads: Threads | None = None
        self._turns: Turns | None = None

    @property
    def uses_threads(self) -> bool:
        """Whether a run may be going on in a thread."""
        return self._threads is not None

    @property
    def threads(self) -> "Threads":
        """As many threads as there are processors."""
        if self._threads is None:
            from snooze.service.runtime.queues import Threads

            self._threads = Threads(allowed())
        return self._threads

    @property
    def turns(self) -> "Turns":
        """The turns of the event loop."""
        if self._turns is None:
            from snooze.service.runtime.queues import Turns

            self._turns = Turns(self)
        return self._turns


class Scheduler:
    """Runs the predictions of one model."""

    def __init__(self, model: Model, state: "ServerState") -> None:
        bundle, settings = model.bundle, state.settings
        self._model = model
        self._capacity = state.capacity
        self._max_wait = settings.max_wait
        self._cost = cost = Cost(bundle.profile)
        joins = settings.batching == "auto" and bundle.batching is not None
        self._join_rows = cost.best_rows(bundle.batching.max_rows) if joins and bundle.batching else 1
        self._in_thread = bundle.session.run_in == "executor"
        saved = cost.predict(1) - cost.predict(self._join_rows) / self._join_rows
        self._joins_on_loop = self._join_rows > 1 and saved >= JOIN_SECONDS
        is_quick = cost.known and not self._in_thread and not self._joins_on_loop
        self._quick_rows = cost.rows_within(LEARN_SECONDS) if is_quick else -1
        self._loop_line: Line | None = None
        self._thread_line: Line | None = None
        labels = (model.name, str(model.version))
        self._run_seconds = state.metrics.run.histogram(*labels)
        self._queue_seconds = state.metrics.queue.histogram(*labels)
        self._rows = state.metrics.rows.histogram(*labels)

    def submit(self, call: Call, began: float, seconds: float) -> list[Array] | Awaitable[list[Array]]:
        """
        Run a call, or admit it to run later.

        Returns the arrays of `call.outputs`, or a future of them; if that is cancelled before the run has begun, it
        never begins. `began` is when the request began to arrive (`perf_counter`), `seconds` how long it may take from
        then on.

        Raises:
            Overloaded: it would have to wait for too long, or too many wait.
            DeadlineExceeded: the time is over.
            InvalidRequest, RunFailed: as `Model.run`.
        """
        start = perf_counter()
        if start - began > seconds:
            raise DeadlineExceeded(seconds)
        rows = self._model.rows(call.feeds)
        if rows > self._quick_rows or self._capacity.loop_seconds > SLICE:
            return self._submit_slowly(call, rows, began, seconds, start)
        return self._run(call, rows, start)

    def _run(self, call: Call, rows: int, start: float) -> list[Array]:
        arrays = self._model.run(call.outputs, call.feeds)
        took = perf_counter() - start
        self._capacity.loop_seconds += took
        self._run_seconds.observe(took)
        self._rows.observe(rows)
        return arrays

    def _submit_slowly(
        self, call: Call, rows: int, began: float, seconds: float, start: float
    ) -> list[Array] | Awaitable[list[Array]]:
        if self._in_thread or self._cost.predict(rows) >= THREAD_SECONDS:
            place: Place = self._capacity.threads
            line = self._thread_line = self._thread_line or self._create_line(place)
        elif self._capacity.loop_seconds > SLICE or (self._joins_on_loop and self._expects_more()):
            place = self._capacity.turns
            line = self._loop_line = self._loop_line or self._create_line(place)
        else:
            arrays = self._run(call, rows, start)
            self._cost.learn(rows, perf_counter() - start)
            return arrays
        return self._enqueue(place, line, call, rows, began, seconds, start)

    def _expects_more(self) -> bool:
        """Return whether requests that can be joined have come in this turn of the loop, or did so in the last one."""
        line = self._loop_line
        return not self._capacity.turns.begin() or (line is not None and line.crowded)

    def _create_line(self, place: "Place") -> "Line":
        from snooze.service.runtime.queues import Line

        slots = min(self._model.bundle.session.intra_op_threads, place.slots)
        # Not a method of ours: in a cycle a model that is replaced would stay until the garbage collector comes.
        finish = partial(_finish, self._capacity, self._cost, self._run_seconds, self._queue_seconds, self._rows)
        return Line(self._model, slots, self._join_rows, self._cost.predict, finish)

    def _enqueue(
        self, place: "Place", line: "Line", call: Call, rows: int, began: float, seconds: float, start: float
    ) -> Awaitable[list[Array]]:
        capacity = self._capacity
        if capacity.count >= capacity.limit:
            raise Overloaded(f"{capacity.limit} predictions are running or waiting, the limit of this server")
        joined_rows = max(rows, line.join_rows)
        run_seconds = self._cost.predict(joined_rows)
        self._check_wait(place.predict_wait(line, run_seconds), run_seconds, start - began, seconds)
        from snooze.service.runtime.joining import find_group
        from snooze.service.runtime.queues import Job

        group = find_group(self._model.bundle, call, rows) if line.join_rows > 1 else None
        job = Job(call, rows, run_seconds * rows / joined_rows, began, seconds, group)
        timer = None
        if seconds != inf:
            timer = asyncio.get_running_loop().call_later(job.deadline - start, job.finish, None)
        job.future.add_done_callback(partial(self._forget, place, line, job, timer))
        capacity.count += 1
        place.add(line, job)
        return job.future

    def _check_wait(self, wait: float, run_seconds: float, elapsed: float, seconds: float) -> None:
        """Refuse what would wait for too long. What need not wait is tried, however long it may take."""
        if not wait:
            return
        excess = max(wait - self._max_wait, wait + run_seconds - (seconds - elapsed) / MARGIN)
        if excess > 0:
            raise Overloaded(f"model '{self._model.name}' has {wait:.2g} s of predictions waiting", excess)

    def _forget(
        self, place: "Place", line: "Line", job: "Job", timer: asyncio.TimerHandle | None, future: object
    ) -> None:
        """Release a job whose future is done. What runs counts until it really ends."""
        if timer is not None:
            timer.cancel()
        place.drop(line, job)
        if job.run is None:
            self._capacity.count -= 1


def _finish(
    capacity: Capacity,
    cost: Cost,
    run_seconds: Histogram,
    queue_seconds: Histogram,
    rows: Histogram,
    run: "Run",
    outcomes: "list[Outcome]",
) -> None:
    """Learn from a run, and hand over its outcomes."""
    capacity.count -= len(run.jobs)
    run.line.crowded = len(run.jobs) > 1
    took = run.end - run.begin
    if took > run.seconds or all(isinstance(outcome, list) for outcome in outcomes):
        cost.learn(run.rows, took)
    run_seconds.observe(took)
    rows.observe(run.rows)
    for job, outcome in zip(run.jobs, outcomes, strict=True):
        queue_seconds.observe(run.begin - job.queued)
        job.finish(outcome)
    run.jobs = ()  # its jobs refer to it: without this cycle their arrays are freed at once

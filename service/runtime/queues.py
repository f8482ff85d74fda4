"""
Predictions that do not run at once: they wait in a line for each model, for a thread or for their turn on the loop.

Imported with the first of them. Lines, runs and jobs are changed by the event loop and by threads, under the lock of
their place; futures and metrics by the event loop only.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from math import inf
from threading import Condition, Thread
from time import perf_counter
from typing import Any

from snooze.service.errors import DeadlineExceeded
from snooze.service.messages import Call
from snooze.service.protocols.tensors import Array
from snooze.service.runtime.cost import KEEP
from snooze.service.runtime.joining import join, split
from snooze.service.runtime.model import Model
from snooze.service.runtime.scheduler import SLICE, Capacity

Outcome = list[Array] | Exception | None  # None: nobody waits for it


class Job:
    """A prediction that waits, and then is part of a run."""

    __slots__ = ("call", "deadline", "future", "group", "limit", "queued", "rows", "run", "seconds")

    def __init__(self, call: Call, rows: int, seconds: float, began: float, limit: float, group: Hashable) -> None:
        """
        `seconds` is what it is predicted to add to the runs of its line; it has to be answered within `limit` seconds
        after `began` (`perf_counter`). Jobs of the same `group` may be joined; None is no group.
        """
        self.call = call
        self.rows = rows
        self.seconds = seconds
        self.limit = limit
        self.deadline = began + limit
        self.group = group
        self.queued = perf_counter()
        self.future: asyncio.Future[list[Array]] = asyncio.get_running_loop().create_future()
        self.run: Run | None = None

    def is_wanted(self) -> bool:
        """Return whether somebody still waits for its outcome."""
        return not self.future.done() and perf_counter() < self.deadline

    def finish(self, outcome: Outcome) -> None:
        """Hand over the outcome, unless it is late or nobody waits. Only the event loop may call this."""
        if self.future.done():
            return
        if outcome is None or perf_counter() >= self.deadline:
            outcome = DeadlineExceeded(self.limit)
        if isinstance(outcome, list):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class Line:
    """The jobs of one model that wait in one place, in the order in which they came."""

    def __init__(
        self, model: Model, slots: int, join_rows: int, predict: Callable[[int], float], finish: "Finish"
    ) -> None:
        """A run takes `slots` of its place; jobs are joined up to `join_rows` rows. `finish` gets every outcome."""
        self.model = model
        self.slots = slots
        self.join_rows = join_rows
        self.predict = predict
        self.finish = finish
        self.crowded = False  # whether the last run was joined of several jobs
        self.jobs: deque[Job] = deque()
        self.seconds = 0.0  # of runs, predicted, for the jobs that wait
        self.used = 0.0  # of its place, compared with other lines

    def take(self) -> "Run | None":
        """Remove the first job that is still wanted, with those that can be joined, and return their run."""
        jobs: list[Job] = []
        rows = 0
        while self.jobs:
            job = self.jobs[0]
            if jobs and (job.group is None or job.group != jobs[0].group or rows + job.rows > self.join_rows):
                break
            self.jobs.popleft()
            self.seconds -= job.seconds
            if job.is_wanted():
                jobs.append(job)
                rows += job.rows
        return Run(self, jobs, rows) if jobs else None


class Run:
    """One run of a model for one job or several."""

    def __init__(self, line: Line, jobs: Sequence[Job], rows: int) -> None:
        self.line = line
        self.jobs = jobs
        self.rows = rows
        self.seconds = line.predict(rows)
        self.wanted = len(jobs)
        self.options: Any = line.model.run_options()
        self.begin = perf_counter()
        self.end = 0.0
        for job in jobs:
            job.run = self

    def execute(self) -> list[Outcome]:
        """Return the outcome of each job. The error of one is not that of others."""
        outcomes = self._run_joined() if len(self.jobs) > 1 else None
        if outcomes is None:
            outcomes = [self._run_alone(job) for job in self.jobs]
        self.end = perf_counter()
        return outcomes

    def forget(self) -> None:
        """Note that a job is not wanted any more; end the run if it was the last."""
        self.wanted -= 1
        if not self.wanted:
            self.options.terminate = True

    def _run_joined(self) -> list[Outcome] | None:
        line, calls = self.line, [job.call for job in self.jobs]
        batching = line.model.bundle.batching
        assert batching is not None
        try:
            arrays = line.model.run(calls[0].outputs, join(calls, batching.axis), self.options)
        except Exception:  # of which job is unknown
            return None
        parts = split(arrays, [job.rows for job in self.jobs], batching.axis)
        if parts is None:
            line.join_rows = 1  # its outputs do not have the rows of its inputs
        return None if parts is None else list(parts)

    def _run_alone(self, job: Job) -> Outcome:
        if not job.is_wanted():
            return None
        try:
            return self.line.model.run(job.call.outputs, job.call.feeds, self.options)
        except Exception as error:
            error.__context__ = None  # the frames of tracebacks hold the job, which will hold the error
            return error.with_traceback(None)


Finish = Callable[[Run, list[Outcome]], None]  # called on the event loop


class Place:
    """Where jobs run: `slots` at the same time. The models that wait share it evenly, in seconds."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._lock = Condition()
        self._lines: list[Line] = []  # those with jobs
        self._runs: list[Run] = []
        self._used = 0.0
        self._stretch = 1.0  # seconds that pass for each second of runs

    def predict_wait(self, line: Line, seconds: float) -> float:
        """Return the seconds until a job that takes `seconds` would begin."""
        now = perf_counter()
        with self._lock:
            if not self._lines and self._free() >= line.slots:
                return 0.0
            waits = line.seconds * line.slots
            for other in self._lines:
                if other is not line:
                    waits += min(other.seconds, line.seconds + seconds) * other.slots
            for run in self._runs:
                waits += max(0.0, run.begin + run.seconds - now) * run.line.slots
            return self._stretch * waits / self.slots

    def add(self, line: Line, job: Job) -> None:
        """Let a job wait, behind the others of its line."""
        with self._lock:
            if not line.jobs:
                line.used = max(line.used, self._used)
                self._lines.append(line)
            line.jobs.append(job)
            line.seconds += job.seconds
            self._wake()

    def drop(self, line: Line, job: Job) -> None:
        """Forget a job whose future is done: it never runs, or its run is ended if no other job needs it."""
        with self._lock:
            if job.run is not None:
                job.run.forget()
            elif job in line.jobs:
                line.jobs.remove(job)
                line.seconds -= job.seconds
                if not line.jobs:
                    self._lines.remove(line)

    def _wake(self) -> None:
        """Have the new job run."""
        raise NotImplementedError

    def _free(self) -> int:
        return self.slots - sum(run.line.slots for run in self._runs)

    def _take(self) -> Run | None:
        """Begin the next run, of the line that has used the least, if there is room for it."""
        while self._lines:
            line = min(self._lines, key=lambda one: one.used)
            if line.slots > self._free():
                return None
            run = line.take()
            if not line.jobs:
                line.seconds = 0.0  # not what rounding left
                self._lines.remove(line)
            if run is not None:
                self._used = line.used
                line.used += run.seconds * line.slots
                self._runs.append(run)
                return run
        return None


class Threads(Place):
    """As many threads as there are slots, started when they are needed."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._started = 0

    def _wake(self) -> None:
        waiting = sum(len(line.jobs) for line in self._lines)
        if self._started - len(self._runs) < waiting and self._started < self.slots:
            self._started += 1
            # A daemon: a run that does not end must not keep the process alive.
            Thread(target=self._work, name=f"run-{self._started}", daemon=True).start()
        else:
            self._lock.notify()

    def _work(self) -> None:
        while True:
            self._run_next()  # a function, so that no arrays are kept while nothing runs

    def _run_next(self) -> None:
        with self._lock:
            while (run := self._take()) is None:
                self._lock.wait()
        outcomes = run.execute()
        with self._lock:
            self._runs.remove(run)
            self._lock.notify_all()  # a run that needs several slots may fit now
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            run.jobs[0].future.get_loop().call_soon_threadsafe(run.line.finish, run, outcomes)


class Turns(Place):
    """The event loop: a few milliseconds of runs in each turn, until nothing waits."""

    def __init__(self, capacity: Capacity) -> None:
        """Renews `capacity.loop_seconds` with each turn; while jobs still wait, no other may run before them."""
        super().__init__(1)
        self._capacity = capacity
        self._scheduled = False
        self._began: float | None = None  # the last turn, if jobs still waited after it
        self._passed = self._ran = 0.0

    def begin(self) -> bool:
        """Count what comes from now on as one turn; return False if that has been done in this turn."""
        first = not self._scheduled
        self._wake()
        return first

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        begin = perf_counter()
        if self._began is not None:
            self._passed = KEEP * self._passed + begin - self._began
            self._stretch = max(1.0, self._passed / self._ran)
        with self._lock:
            self._scheduled = False
            run = self._take()
        ran = 0.0
        while run is not None:
            outcomes = run.execute()
            ran += run.end - run.begin
            with self._lock:
                self._runs.remove(run)
                next_run = self._take() if run.end - begin < SLICE else None
            run.line.finish(run, outcomes)
            run = next_run
        self._end_turn(begin, ran)

    def _end_turn(self, begin: float, ran: float) -> None:
        with self._lock:
            waits = bool(self._lines)
            if waits:
                self._wake()
        self._capacity.loop_seconds = inf if waits else 0.0
        self._began = begin if waits else None
        if waits:
            self._ran = KEEP * self._ran + ran

import asyncio
from math import inf
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import publish, regressor

from snooze.bundle.contract import RunIn
from snooze.bundle.store import read
from snooze.service.errors import DeadlineExceeded, Overloaded, RunFailed
from snooze.service.logs import Log
from snooze.service.messages import Call
from snooze.service.metrics import Metrics
from snooze.service.runtime.model import Model
from snooze.service.runtime.scheduler import Scheduler
from snooze.service.settings import Settings
from snooze.service.state import ServerState

CALL = Call({"x": np.zeros((2, 3), np.float32)}, ["value"])
DEADLINE = 60


class Session:
    """Answers when it may: `held` makes a run wait."""

    def __init__(self) -> None:
        self.held: Event | None = None
        self.error: Exception | None = None
        self.runs = 0

    def run(self, names: Any, feeds: Any, options: Any) -> list[Any]:
        self.runs += 1
        if self.held is not None:
            assert self.held.wait(DEADLINE)
        if self.error is not None:
            raise self.error
        return ["answer"]


@pytest.fixture
def session() -> Session:
    return Session()


def schedule(
    tmp_path: Path, session: Session, run_in: RunIn = "loop", **settings: Any
) -> tuple[Scheduler, ServerState]:
    folder = publish(tmp_path, "sum", regressor(), run_in=run_in)
    state = ServerState(Settings(**settings), Metrics(), Log("off"))
    return Scheduler(Model(folder, read(folder), session), state), state


def test_a_loop_model_runs_before_submit_returns(tmp_path: Path, session: Session) -> None:
    scheduler, state = schedule(tmp_path, session)

    arrays: Any = scheduler.submit(CALL, perf_counter(), inf)

    assert arrays == ["answer"]
    assert state.capacity.count == 0
    assert not state.capacity.uses_threads
    assert sum(state.metrics.run.histogram("sum", "1").buckets) == 1
    assert state.metrics.rows.histogram("sum", "1").sum == 2


def test_a_failed_run_raises(tmp_path: Path, session: Session) -> None:
    scheduler, _ = schedule(tmp_path, session)
    session.error = ValueError("no")

    with pytest.raises(RunFailed):
        scheduler.submit(CALL, perf_counter(), inf)


@pytest.mark.parametrize("run_in", ["loop", "executor"])
def test_a_run_does_not_begin_after_its_deadline(tmp_path: Path, session: Session, run_in: RunIn) -> None:
    scheduler, state = schedule(tmp_path, session, run_in)

    with pytest.raises(DeadlineExceeded):
        scheduler.submit(CALL, perf_counter() - 10, 5)
    assert (session.runs, state.capacity.count) == (0, 0)


def test_a_run_in_a_thread_leaves_the_loop_free(tmp_path: Path, session: Session) -> None:
    scheduler, state = schedule(tmp_path, session, "executor")
    session.held = Event()

    async def main() -> None:
        arrays = scheduler.submit(CALL, perf_counter(), inf)
        assert not isinstance(arrays, list)
        assert state.capacity.count == 1
        assert session.held is not None
        session.held.set()
        assert await arrays == ["answer"]
        await asyncio.sleep(0)
        assert state.capacity.count == 0

    asyncio.run(main())
    assert sum(state.metrics.queue.histogram("sum", "1").buckets) == 1


def test_an_abandoned_run_counts_until_it_ends(tmp_path: Path, session: Session) -> None:
    scheduler, state = schedule(tmp_path, session, "executor", max_in_flight=1)
    session.held = Event()

    async def main() -> None:
        arrays = scheduler.submit(CALL, perf_counter(), 0.01)
        assert not isinstance(arrays, list)
        with pytest.raises(DeadlineExceeded):
            await arrays
        if session.runs:
            with pytest.raises(Overloaded):
                scheduler.submit(CALL, perf_counter(), inf)
        assert session.held is not None
        session.held.set()
        while state.capacity.count:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), DEADLINE))

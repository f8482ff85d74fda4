import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from snooze.service.errors import DeadlineExceeded, RunFailed
from snooze.service.messages import Call
from snooze.service.metrics import Metrics
from snooze.service.runtime.model import Model
from snooze.service.runtime.scheduler import Admission, Scheduler

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


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def schedule(
    tmp_path: Path, session: Session, run_in: RunIn = "loop", threads: ThreadPoolExecutor | None = None
) -> tuple[Scheduler, Admission, Metrics]:
    folder = publish(tmp_path, "sum", regressor(), run_in=run_in)
    admission, metrics = Admission(8), Metrics()
    admission.count = 1
    return Scheduler(Model(folder, read(folder), session), admission, metrics, threads), admission, metrics


def test_a_loop_model_runs_before_submit_returns(tmp_path: Path, session: Session, threads: ThreadPoolExecutor) -> None:
    scheduler, admission, metrics = schedule(tmp_path, session, "loop", threads)

    arrays: Any = scheduler.submit(CALL, perf_counter(), inf)

    assert arrays == ["answer"]
    assert admission.count == 0
    assert sum(metrics.run.histogram("sum", "1").buckets) == 1
    assert metrics.rows.histogram("sum", "1").sum == 2


def test_a_failed_run_releases_its_admission(tmp_path: Path, session: Session) -> None:
    scheduler, admission, _ = schedule(tmp_path, session)
    session.error = ValueError("no")

    with pytest.raises(RunFailed):
        scheduler.submit(CALL, perf_counter(), inf)
    assert admission.count == 0


def test_a_run_does_not_begin_after_its_deadline(tmp_path: Path, session: Session) -> None:
    scheduler, admission, _ = schedule(tmp_path, session)

    with pytest.raises(DeadlineExceeded):
        scheduler.submit(CALL, perf_counter() - 10, 5)
    assert (session.runs, admission.count) == (0, 0)


def test_a_run_in_a_thread_leaves_the_loop_free(tmp_path: Path, session: Session, threads: ThreadPoolExecutor) -> None:
    scheduler, admission, metrics = schedule(tmp_path, session, "executor", threads)
    session.held = Event()

    async def main() -> None:
        arrays = scheduler.submit(CALL, perf_counter(), inf)
        assert not isinstance(arrays, list)
        assert admission.count == 1
        assert session.held is not None
        session.held.set()
        assert await arrays == ["answer"]
        await asyncio.sleep(0)
        assert admission.count == 0

    asyncio.run(main())
    assert sum(metrics.queue.histogram("sum", "1").buckets) == 1


def test_an_abandoned_run_counts_until_it_ends(tmp_path: Path, session: Session, threads: ThreadPoolExecutor) -> None:
    scheduler, admission, _ = schedule(tmp_path, session, "executor", threads)
    session.held = Event()

    async def main() -> None:
        arrays = scheduler.submit(CALL, perf_counter(), 0.01)
        assert not isinstance(arrays, list)
        with pytest.raises(DeadlineExceeded):
            await arrays
        assert session.runs == 0 or admission.count == 1
        assert session.held is not None
        session.held.set()
        while admission.count:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), DEADLINE))

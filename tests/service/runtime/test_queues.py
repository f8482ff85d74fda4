import asyncio
from collections.abc import Iterator
from math import inf
from time import perf_counter

import numpy as np
import pytest
from tests.service.conftest import publish, regressor

from snooze.bundle.store import read
from snooze.service.errors import DeadlineExceeded
from snooze.service.messages import Call
from snooze.service.runtime.model import Model, load
from snooze.service.runtime.queues import Job, Line, Outcome, Place, Run


class Held(Place):
    """A place where nothing runs until the test takes it."""

    def _wake(self) -> None:
        pass

    def take(self) -> Run | None:
        return self._take()

    def end(self, run: Run) -> None:
        self._runs.remove(run)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = publish(tmp_path_factory.mktemp("models"), "sum", regressor())
    return load(folder, read(folder), 1)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for the futures of jobs; nothing awaits them."""
    with asyncio.Runner() as runner:
        asyncio.events._set_running_loop(runner.get_loop())
        yield runner.get_loop()
        asyncio.events._set_running_loop(None)


def line(model: Model, slots: int = 1, join_rows: int = 1) -> Line:
    return Line(model, slots, join_rows, lambda rows: float(rows), ignore)


def ignore(run: Run, outcomes: list[Outcome]) -> None:
    pass


def job(rows: int = 1, limit: float = inf, group: str | None = "g") -> Job:
    return Job(Call({"x": np.zeros((rows, 3), np.float32)}, ["value"]), rows, rows, perf_counter(), limit, group)


@pytest.mark.usefixtures("loop")
def test_lines_share_a_place_by_seconds(model: Model) -> None:
    place, long, short = Held(1), line(model), line(model)
    for _ in range(3):
        place.add(long, job(rows=4))
    for _ in range(9):
        place.add(short, job())
    order = []
    while (run := place.take()) is not None:
        order.append(str(run.rows))
        place.end(run)

    assert "".join(order) == "4 1111 4 1111 4 1".replace(" ", "")


@pytest.mark.usefixtures("loop")
def test_a_line_that_was_idle_has_saved_nothing(model: Model) -> None:
    place, busy, idle = Held(1), line(model), line(model)
    for _ in range(4):
        place.add(busy, job(rows=10))
    for _ in range(2):
        run = place.take()
        assert run is not None
        place.end(run)
    for _ in range(20):
        place.add(idle, job(rows=10))

    runs = []
    for _ in range(4):
        run = place.take()
        assert run is not None
        runs.append(run.line)
        place.end(run)
    assert runs.count(busy) == 2


@pytest.mark.usefixtures("loop")
def test_a_run_waits_until_all_its_slots_are_free(model: Model) -> None:
    place, wide, narrow = Held(2), line(model, slots=2), line(model)
    place.add(narrow, job())
    first = place.take()
    place.add(wide, job())

    assert place.take() is None
    assert first is not None
    place.end(first)
    second = place.take()
    assert second is not None
    assert second.line is wide


@pytest.mark.usefixtures("loop")
def test_predicts_the_wait_from_what_runs_and_waits(model: Model) -> None:
    place, own, other = Held(2), line(model), line(model)
    assert place.predict_wait(own, 5) == 0

    for _ in range(2):
        place.add(own, job(rows=10))
        place.take()
    assert place.predict_wait(own, 5) == pytest.approx(10, abs=0.5)  # two run, on two slots
    place.add(own, job(rows=4))
    assert place.predict_wait(own, 5) == pytest.approx(12, abs=0.5)
    place.add(other, job(rows=100))
    assert place.predict_wait(own, 5) == pytest.approx(12 + (4 + 5) / 2, abs=0.5)  # the other gets as much as we


@pytest.mark.usefixtures("loop")
def test_joins_in_order_up_to_the_rows_of_a_run(model: Model) -> None:
    own = line(model, join_rows=8)
    for one in (job(3), job(3), job(3), job(1, group=None), job(1), job(9), job(1)):
        own.jobs.append(one)

    runs = []
    while (run := own.take()) is not None:
        runs.append([one.rows for one in run.jobs])

    assert runs == [[3, 3], [3], [1], [1], [9], [1]]


@pytest.mark.usefixtures("loop")
def test_what_nobody_waits_for_is_not_taken(model: Model) -> None:
    place, own = Held(1), line(model, join_rows=8)
    late, left, wanted = job(limit=-1), job(), job()
    for one in (late, left, wanted):
        place.add(own, one)
    left.future.cancel()
    run = place.take()

    assert run is not None
    assert list(run.jobs) == [wanted]
    assert place.predict_wait(own, 1) == pytest.approx(1, abs=0.5)


@pytest.mark.usefixtures("loop")
def test_a_dropped_job_leaves_its_line(model: Model) -> None:
    place, own = Held(1), line(model)
    one = job()
    place.add(own, one)
    place.drop(own, one)

    assert place.take() is None
    assert place.predict_wait(own, 1) == 0


@pytest.mark.usefixtures("loop")
def test_a_run_is_ended_when_its_last_job_is_dropped(model: Model) -> None:
    place, own = Held(1), line(model, join_rows=8)
    jobs = [job(), job()]
    for one in jobs:
        place.add(own, one)
    run = place.take()
    assert run is not None

    place.drop(own, jobs[0])
    assert not run.options.terminate
    place.drop(own, jobs[1])
    assert run.options.terminate


@pytest.mark.usefixtures("loop")
def test_a_late_outcome_is_not_handed_over() -> None:
    late = job(limit=-1)
    late.finish([np.zeros(1)])

    assert type(late.future.exception()) is DeadlineExceeded

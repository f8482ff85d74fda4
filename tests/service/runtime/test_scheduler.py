import asyncio
import gc
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any, cast

import numpy as np
import pytest
import uvloop
from onnx import helper
from tests.service.conftest import Graph, publish, regressor, slow

from snooze.bundle.contract import RunIn, Tensor
from snooze.bundle.store import read
from snooze.service.errors import DeadlineExceeded, InvalidRequest, Overloaded, RunFailed
from snooze.service.logs import Log
from snooze.service.messages import Call
from snooze.service.metrics import Metrics
from snooze.service.protocols.tensors import Array
from snooze.service.runtime.model import Model, load
from snooze.service.runtime.scheduler import SLICE, THREAD_SECONDS, Scheduler
from snooze.service.settings import Settings
from snooze.service.state import ServerState

DEADLINE = 60
LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
QUICK = {1: 1e-5, 64: 1e-4}
GAIN_ON_LOOP = {1: 1e-3, 8: 1.5e-3}  # joining pays, and no run is long enough for a thread
GAIN_IN_THREAD = {1: 2e-2, 8: 3e-2}


class Session:
    """Answers each row with its first value, when it may: `held` makes runs wait."""

    def __init__(self) -> None:
        self.held: Event | None = None
        self.error: Exception | None = None
        self.sizes: list[int] = []
        self.lengthen = 0
        self.seconds = 0.0

    def run(self, names: Any, feeds: Any, options: Any) -> list[Any]:
        self.sizes.append(len(feeds["x"]))
        time.sleep(self.seconds)
        if self.held is not None:
            assert self.held.wait(DEADLINE)
        if self.error is not None:
            raise self.error
        return [np.resize(feeds["x"][:, :1], (len(feeds["x"]) + self.lengthen, 1))]


class Bench:
    """A scheduler of a model, and what it shares with others."""

    def __init__(self, folder: Path, session: Any = None, **settings: Any) -> None:
        model = Model(folder, read(folder), session) if session else load(folder, read(folder), 1)
        self.state = ServerState(Settings(**settings), Metrics(), Log("off"))
        self.capacity = self.state.capacity
        self.scheduler = Scheduler(model, self.state)

    def submit(self, first: float = 0, rows: int = 1, seconds: float = inf, ago: float = 0) -> Any:
        """Submit rows that begin with a number."""
        call = Call({"x": np.full((rows, 3), [first, 0, 0], np.float32)}, ["value"])
        return self.scheduler.submit(call, perf_counter() - ago, seconds)


@pytest.fixture(autouse=True)
def _one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snooze.service.runtime.scheduler.allowed", lambda: 1)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    if session.held is not None:
        session.held.set()


@pytest.fixture
def bench(tmp_path: Path, session: Session) -> Callable[..., Bench]:
    def make(run_in: RunIn = "loop", seconds: Mapping[int, float] = QUICK, **settings: Any) -> Bench:
        return Bench(publish(tmp_path, "sum", regressor(), run_in=run_in, seconds=seconds), session, **settings)

    return make


def run(main: Coroutine[Any, Any, None], loop: str = "uvloop") -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(main, DEADLINE))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def note(things: list[Any], thing: Any, future: object) -> None:
    things.append(thing)


async def values(arrays: Awaitable[list[Array]] | list[Array]) -> list[float]:
    """Return the values of an answer, which is awaited if it is not there yet."""
    if not isinstance(arrays, list):
        arrays = await arrays
    return cast("list[float]", arrays[0].ravel().tolist())


def test_a_quick_run_happens_before_submit_returns(bench: Callable[..., Bench], session: Session) -> None:
    quick = bench()

    (value,) = quick.submit(7, rows=2)

    assert value.tolist() == [[7], [7]]
    assert (quick.capacity.count, quick.capacity.uses_threads) == (0, False)
    assert sum(quick.state.metrics.run.histogram("sum", "1").buckets) == 1
    assert quick.state.metrics.rows.histogram("sum", "1").sum == 2


def test_a_failed_run_raises(bench: Callable[..., Bench], session: Session) -> None:
    session.error = ValueError("no")

    with pytest.raises(RunFailed):
        bench().submit()


@pytest.mark.parametrize("run_in", ["loop", "executor"])
def test_a_run_does_not_begin_after_its_deadline(bench: Callable[..., Bench], session: Session, run_in: RunIn) -> None:
    late = bench(run_in)

    with pytest.raises(DeadlineExceeded):
        late.submit(seconds=5, ago=10)
    assert (session.sizes, late.capacity.count) == ([], 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_in_a_thread_leaves_the_loop_free(bench: Callable[..., Bench], session: Session, loop: str) -> None:
    slow = bench("executor")
    session.held = held = Event()

    async def main() -> None:
        arrays = slow.submit(3)
        await until(lambda: bool(session.sizes))
        assert slow.capacity.count == 1
        held.set()
        assert await values(arrays) == [3]
        assert slow.capacity.count == 0

    run(main(), loop)
    assert sum(slow.state.metrics.queue.histogram("sum", "1").buckets) == 1


def test_many_rows_of_a_loop_model_run_in_a_thread(bench: Callable[..., Bench]) -> None:
    mixed = bench()

    async def main() -> None:
        few, many = mixed.submit(1), mixed.submit(2, rows=60_000)
        assert isinstance(few, list)
        assert mixed.capacity.uses_threads
        assert len(await values(many)) == 60_000

    run(main())


def test_a_model_that_is_slower_here_than_in_its_profile_moves_to_threads(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    slower = Bench(publish(tmp_path, "slow", slow(), seconds={1: 1e-3}))
    call = Call({"times": np.array([200])}, ["value"])

    async def main() -> None:
        while not slower.capacity.uses_threads:
            arrays = slower.scheduler.submit(call, perf_counter(), inf)
            if not isinstance(arrays, list):
                await arrays

    run(main())


def test_what_takes_the_loop_too_long_waits_for_its_next_turn(bench: Callable[..., Bench]) -> None:
    busy = bench()

    async def main() -> None:
        busy.capacity.loop_seconds = 2 * SLICE
        order: list[str] = []
        arrays = [busy.submit(number) for number in range(3)]
        asyncio.get_running_loop().call_soon(order.append, "other work")
        for number, pending in enumerate(arrays):
            pending.add_done_callback(partial(note, order, str(number)))
        assert [await values(pending) for pending in arrays] == [[0], [1], [2]]
        await asyncio.sleep(0)
        assert order == ["other work", "0", "1", "2"]
        assert (busy.capacity.count, busy.capacity.loop_seconds) == (0, 0)
        assert isinstance(busy.submit(), list)

    run(main())


def test_nobody_overtakes_what_waits_for_a_turn(bench: Callable[..., Bench], session: Session) -> None:
    busy = bench(batching="off")
    busy.capacity.loop_seconds = 2 * SLICE
    session.seconds = SLICE  # one run in each turn

    async def main() -> None:
        waiting = [busy.submit(number) for number in range(3)]
        await waiting[0]
        late = busy.submit(3)
        assert not isinstance(late, list)
        assert not waiting[2].done()
        await late
        assert waiting[2].done()

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_probes_are_answered_while_a_loop_model_is_overloaded(tmp_path: Path, loop: str) -> None:
    """Each turn of the loop runs for about SLICE, however much waits; two models share it."""
    folders = [publish(tmp_path, name, slow(), seconds={1: THREAD_SECONDS / 2}) for name in ("a", "b")]
    first = Bench(folders[0])
    second = Scheduler(load(folders[1], read(folders[1]), 1), first.state)
    call = Call({"times": np.array([10])}, ["value"])

    async def main() -> None:
        begin = perf_counter()
        answers = [first.scheduler.submit(call, begin, inf) for _ in range(60)]
        answers += [second.submit(call, begin, inf) for _ in range(20)]
        waiting = [answer for answer in answers if not isinstance(answer, list)]
        ended: list[int] = []
        for index, answer in enumerate(waiting):
            cast("asyncio.Future[Any]", answer).add_done_callback(partial(note, ended, index))
        turns = 0
        while len(ended) < len(waiting):
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 3
        assert len(waiting) > 60
        assert ended != sorted(ended)  # the second model does not wait for all of the first one's

    run(main(), loop)


@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
def test_what_waits_is_joined_up_to_the_best_number_of_rows(
    bench: Callable[..., Bench], session: Session, run_in: RunIn, seconds: Mapping[int, float]
) -> None:
    joining = bench(run_in, seconds)
    if run_in == "executor":
        session.held = Event()

    async def main() -> None:
        arrays = [joining.submit(number, rows=rows) for number, rows in enumerate([8, 3, 4, 2, 6])]
        if session.held:
            session.held.set()
        answers = [await values(pending) for pending in arrays]
        assert answers == [[0] * 8, [1] * 3, [2] * 4, [3] * 2, [4] * 6]
        assert joining.capacity.count == 0

    run(main())
    assert session.sizes == [8, 7, 8]
    assert joining.state.metrics.rows.histogram("sum", "1").sum == 23


def test_a_loop_model_waits_only_where_others_come_in_the_same_turn(
    bench: Callable[..., Bench], session: Session
) -> None:
    joining = bench("loop", GAIN_ON_LOOP)

    async def main() -> None:
        for _ in range(3):
            assert isinstance(joining.submit(), list)
            await asyncio.sleep(0)
        first, *others = [joining.submit(number) for number in range(3)]
        assert isinstance(first, list)
        assert [await values(pending) for pending in others] == [[1], [2]]
        lone = joining.submit(3)  # after a crowded turn the first one waits, too
        assert not isinstance(lone, list)
        await lone
        await asyncio.sleep(0)
        assert isinstance(joining.submit(), list)

    run(main())
    assert session.sizes == [1, 1, 1, 1, 2, 1, 1]


@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
def test_joining_can_be_switched_off(
    bench: Callable[..., Bench], session: Session, run_in: RunIn, seconds: Mapping[int, float]
) -> None:
    separate = bench(run_in, seconds, batching="off")

    async def main() -> None:
        for pending in [separate.submit(number) for number in range(4)]:
            if not isinstance(pending, list):
                await pending

    run(main())
    assert session.sizes == [1] * 4


def lookup() -> Graph:
    """The number at an index of a table; it refuses other indices."""
    weights = {"table": np.arange(100, dtype=np.float32)}
    nodes = [helper.make_node("Gather", ["table", "x"], ["value"])]
    return Graph(nodes, [Tensor("x", "INT64", (-1,))], [Tensor("value", "FP32", (-1,))], {"x": np.array([1])}, weights)


@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
def test_the_error_of_one_request_is_not_that_of_others(
    tmp_path: Path, run_in: RunIn, seconds: Mapping[int, float]
) -> None:
    table = Bench(publish(tmp_path, "lookup", lookup(), run_in=run_in, seconds=seconds))

    async def main() -> None:
        calls = [Call({"x": np.array([index])}, ["value"]) for index in (5, 1000, 7, 8)]
        pending = [table.scheduler.submit(call, perf_counter(), inf) for call in calls]
        if isinstance(pending[0], list):  # the first of a turn does not wait
            pending[0] = asyncio.sleep(0, pending[0])
        answers = await asyncio.gather(*cast("list[Any]", pending), return_exceptions=True)
        assert [answers[index][0].tolist() for index in (0, 2, 3)] == [[5], [7], [8]]  # type: ignore[index]
        assert type(answers[1]) is InvalidRequest

    run(main())


def test_a_model_whose_outputs_have_other_rows_is_not_joined(bench: Callable[..., Bench], session: Session) -> None:
    odd = bench("loop", GAIN_ON_LOOP)
    session.lengthen = 1

    async def main() -> None:
        for _ in range(2):
            arrays = [odd.submit(number) for number in range(3)]
            assert [await values(pending) for pending in arrays] == [[0, 0], [1, 1], [2, 2]]

    run(main())
    assert session.sizes == [1, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
def test_what_is_cancelled_before_its_run_never_runs(
    bench: Callable[..., Bench], session: Session, run_in: RunIn, seconds: Mapping[int, float]
) -> None:
    left = bench(run_in, seconds, batching="off")
    left.capacity.loop_seconds = 2 * SLICE
    session.held = Event()
    session.held.set()

    async def main() -> None:
        assert session.held is not None
        if run_in == "executor":  # occupy the thread
            session.held.clear()
            left.submit()
            await until(lambda: len(session.sizes) == 1)
        before = len(session.sizes)
        pending = [left.submit(number) for number in range(3)]
        pending[1].cancel()
        session.held.set()
        assert [await values(pending[0]), await values(pending[2])] == [[0], [2]]
        await until(lambda: left.capacity.count == 0)
        assert len(session.sizes) == before + 2

    run(main())


def test_a_late_answer_is_504_and_its_run_is_ended(tmp_path: Path) -> None:
    """Without an end the run would take minutes."""
    endless = Bench(publish(tmp_path, "slow", slow(), run_in="executor", seconds={1: 1e-3}), max_in_flight=1)
    call = Call({"times": np.array([2_000_000])}, ["value"])

    async def main() -> None:
        pending = endless.scheduler.submit(call, perf_counter(), 0.05)
        with pytest.raises(DeadlineExceeded):
            await cast("Awaitable[Any]", pending)
        if endless.capacity.count:
            with pytest.raises(Overloaded):
                endless.scheduler.submit(call, perf_counter(), inf)
        await until(lambda: endless.capacity.count == 0)

    run(main())


def test_a_run_in_a_thread_ends_when_its_client_goes_away(tmp_path: Path) -> None:
    endless = Bench(publish(tmp_path, "slow", slow(), run_in="executor", seconds={1: 1e-3}))

    async def main() -> None:
        pending: Any = endless.scheduler.submit(Call({"times": np.array([2_000_000])}, ["value"]), perf_counter(), inf)
        await asyncio.sleep(0.02)
        pending.cancel()
        await until(lambda: endless.capacity.count == 0)

    run(main())


def test_what_would_be_late_is_refused_with_the_time_until_it_would_not(
    bench: Callable[..., Bench], session: Session
) -> None:
    full = bench("executor", {1: 2.0}, max_wait=8.0)
    session.held = Event()

    async def main() -> None:
        pending = [full.submit()]
        with pytest.raises(Overloaded) as caught:
            full.submit(seconds=3.0)  # 2 s until a thread is free, and 2 s of its own
        assert caught.value.retry_after == 2
        pending += [full.submit(seconds=6.0)]
        pending += [full.submit() for _ in range(3)]  # 2 s for each that runs or waits
        assert full.capacity.count == 5
        with pytest.raises(Overloaded) as caught:
            full.submit()
        assert caught.value.retry_after == 2  # there would be 10 s of waiting for the thread
        for one in pending[1:]:
            one.cancel()
        assert session.held is not None
        session.held.set()
        await until(lambda: full.capacity.count == 0)

    run(main())


def test_what_need_not_wait_is_tried_however_long_it_is_predicted_to_take(bench: Callable[..., Bench]) -> None:
    pessimistic = bench("executor", {1: 100.0})

    async def main() -> None:
        assert await values(pessimistic.submit(4, seconds=30)) == [4]

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
@pytest.mark.parametrize("seed", range(3))
def test_results_never_mix(tmp_path: Path, loop: str, run_in: RunIn, seconds: Mapping[int, float], seed: int) -> None:
    """Each row says whose it is, among cancellations, deadlines and many sizes of requests."""
    mixed = Bench(publish(tmp_path, "sum", regressor(), run_in=run_in, seconds=seconds))
    chance = random.Random(seed)
    answered = 0

    async def ask(number: int) -> None:
        nonlocal answered
        rows = chance.choice([0, 1, 1, 1, 2, 3, 9])
        feeds = {"x": np.array([[number, row / 16, 0] for row in range(rows)], np.float32).reshape(rows, 3)}
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.002]))
        limit = chance.choice([inf, inf, 0.5, 0.0005])
        try:
            answer = mixed.scheduler.submit(Call(feeds, ["value"]), perf_counter(), limit)
            if not isinstance(answer, list):
                answer = await asyncio.wait_for(answer, chance.choice([None, None, None, 0.0002]))
        except (DeadlineExceeded, Overloaded, TimeoutError):
            return
        assert answer[0].ravel().tolist() == [number + row / 16 for row in range(rows)]
        answered += 1

    async def main() -> None:
        await asyncio.gather(*(ask(number) for number in range(400)))
        await until(lambda: mixed.capacity.count == 0)

    run(main(), loop)
    assert answered > 100


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("run_in", "seconds"), [("loop", GAIN_ON_LOOP), ("executor", GAIN_IN_THREAD)])
def test_arrays_are_freed_without_the_garbage_collector(
    tmp_path: Path, run_in: RunIn, seconds: Mapping[int, float], fails: bool
) -> None:
    table = Bench(publish(tmp_path, "lookup", lookup(), run_in=run_in, seconds=seconds))
    arrays = [np.array([1000 if fails else 1]) for _ in range(3)]
    alive = [weakref.ref(array) for array in arrays]

    async def main() -> None:
        table.capacity.turns.begin()  # the first of a turn would not wait
        pending = [table.scheduler.submit(Call({"x": array}, ["value"]), perf_counter(), inf) for array in arrays]
        arrays.clear()
        await asyncio.gather(*cast("list[Any]", pending), return_exceptions=True)
        pending.clear()
        await until(lambda: not any(ref() is not None for ref in alive))

    gc.collect()
    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()

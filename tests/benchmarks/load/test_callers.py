import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.load.callers import Load
from snooze.benchmarks.load.outcomes import Outcome
from snooze.benchmarks.load.target import RequestOptions, prepare

pytestmark = pytest.mark.process


@pytest.fixture
def make_load(double: Server) -> Iterator[Callable[..., Load]]:
    """Return a function that makes a load with two requests, due at once."""
    loads = []

    def make(model: str, callers: int = 1, seconds: float = 60.0) -> Load:
        target = prepare(double.url, RequestOptions(model, row=("1,2,3,4",)))
        loads.append(Load(target, iter([0.0, 0.0, *repeat(99.0, 9)]), seconds, callers))
        return loads[-1]

    yield make
    for load in loads:
        load._connections.close()


def count_connections(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/connections") as answer:
        return int(answer.read())


WARM_UP = """
import sys
from snooze.benchmarks.load.callers import Load
from snooze.benchmarks.load.target import RequestOptions, prepare
target = prepare(sys.argv[1], RequestOptions("tumour", row=("1,2,3,4",)))
load = Load(target, iter([0.0] * 9), 60.0, 32)
print(load.warm_up(), flush=True)
sys.stdin.read()
"""


def test_warm_up_opens_all_connections_that_the_load_will_use(double: Server) -> None:
    """In a process of its own, as always: gevent shares its threads and loop with nothing else there."""
    before = count_connections(double)
    command = [sys.executable, "-c", WARM_UP, double.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "32\n"
        until = time.monotonic() + 60
        while count_connections(double) < before + 33 and time.monotonic() < until:  # it accepts one by one
            time.sleep(0.01)
        assert count_connections(double) >= before + 33
        process.communicate()


def test_warm_up_survives_a_server_that_has_ended(make_load: Callable[..., Load]) -> None:
    load = make_load("tumour", callers=4)
    load._connections._connection_port = 1  # nothing listens on it

    assert load.warm_up() == 0
    assert load._send(0)[0] is Outcome.REFUSED


@pytest.mark.parametrize(
    ("model", "outcome"), [("tumour", Outcome.ANSWERED), ("busy", Outcome.OVERLOADED), ("broken", Outcome.LOST)]
)
def test_each_request_has_one_outcome(make_load: Callable[..., Load], model: str, outcome: Outcome) -> None:
    reported: list[Any] = []
    load = make_load(model)
    load.begin()
    load.call(lambda *report: reported.append(report))

    assert [(found, bool(problem)) for _, found, _, problem in reported] == [(outcome, model != "tumour")] * 2
    assert load.record().outcomes.tolist() == [outcome] * 2
    assert load.progress()["done"] == 2


def test_requests_that_were_not_sent_in_time_are_unsent(make_load: Callable[..., Load]) -> None:
    load = make_load("tumour", seconds=0.001)
    load.begin()
    while not load.over():
        pass
    load.call(lambda *report: None)

    assert load.record().outcomes.tolist() == [Outcome.UNSENT] * 2

import itertools

import pytest
from tests.benchmarks.wake.recordings import read

from snooze.benchmarks.wake.phases import PHASES, Exchange, Ledger, split

# Milliseconds of the recorded wakes, on a busy machine.
OURS = {
    "autoscale": 285,
    "create": 254,
    "schedule": 66,
    "containers": 328,
    "process": 742,
    "publish": 122,
    "endpoint": 8,
    "rest": 183,
    "answer": 4,
}
HELLO = {
    "autoscale": 112,
    "create": 16,
    "schedule": 44,
    "containers": 0,
    "process": 0,
    "publish": 3394,
    "endpoint": 7,
    "rest": 179,
    "answer": 34,
}


@pytest.mark.parametrize("name", ["hello", "tumour"])
def test_the_phases_of_a_recorded_wake_sum_to_its_time(name: str) -> None:
    exchange, events, ledger = read(name)

    phases = split(exchange, events, ledger)

    assert list(phases) == list(PHASES)
    assert min(phases.values()) >= 0
    assert sum(phases.values()) == pytest.approx(exchange.answered - exchange.sent)
    assert phases["answer"] == pytest.approx(exchange.warm, abs=1e-6)


def test_a_recorded_wake_of_ours_is_explained_phase_by_phase() -> None:
    phases = split(*read("tumour"))

    assert {name: round(seconds * 1e3) for name, seconds in phases.items()} == OURS


def test_a_server_without_a_ledger_has_its_start_in_publish() -> None:
    exchange, events, ledger = read("hello")

    phases = split(exchange, events, ledger)

    assert ledger is None
    assert (phases["containers"], phases["process"]) == (0, 0)
    assert {name: round(seconds * 1e3) for name, seconds in phases.items()} == HELLO


def test_a_process_that_is_ready_after_its_address_is_known_leaves_nothing_to_publish() -> None:
    exchange, events, ledger = read("tumour")
    assert ledger is not None
    late = ledger._replace(wall={**ledger.wall, "imports": ledger.wall["imports"] + 0.4})

    phases = split(exchange, events, late)

    assert phases["publish"] == phases["endpoint"] == 0
    assert sum(phases.values()) == pytest.approx(exchange.answered - exchange.sent)


def test_what_the_last_wake_left_behind_is_not_counted() -> None:
    exchange, events, ledger = read("tumour")
    pod = next(event for event in events if event.kind == "Pod" and "podIP" in event.object["status"])
    ending = {**pod.object, "metadata": {**pod.object["metadata"], "deletionTimestamp": "2026-11-22T06:00:00Z"}}
    before = [pod._replace(seconds=exchange.sent, object=ending), pod._replace(seconds=exchange.sent, type="DELETED")]

    assert split(exchange, [*before, *events], ledger) == split(exchange, events, ledger)


@pytest.mark.parametrize("missing", ["Pod", "Deployment", "EndpointSlice"])
def test_without_some_news_the_time_belongs_to_the_next_phase(missing: str) -> None:
    exchange, events, ledger = read("tumour")

    phases = split(exchange, [event for event in events if event.kind != missing], ledger)

    assert sum(phases.values()) == pytest.approx(exchange.answered - exchange.sent)


def test_without_any_news_all_but_the_answer_is_not_explained() -> None:
    phases = split(Exchange(10.0, 11.0, 0.25), [], None)

    assert {name: seconds for name, seconds in phases.items() if seconds} == {"rest": 0.75, "answer": 0.25}


def test_news_may_come_in_any_order() -> None:
    exchange, events, ledger = read("hello")
    times = sorted(event.seconds for event in events)
    for order in itertools.islice(itertools.permutations(events), 0, 5000, 97):
        mixed = [event._replace(seconds=seconds) for event, seconds in zip(order, times, strict=True)]
        phases = split(exchange, mixed, ledger)
        assert min(phases.values()) >= 0
        assert sum(phases.values()) == pytest.approx(exchange.answered - exchange.sent)


def test_the_ledger_is_read_from_the_metrics() -> None:
    ledger = read("tumour").ledger

    assert ledger is not None
    assert list(ledger.wall) == ["interpreter", "imports", "session", "adapter", "warm_up", "golden", "listen"]
    assert 0 < sum(ledger.cpu.values()) < sum(ledger.wall.values())
    assert ledger.ready == pytest.approx(ledger.created + sum(ledger.wall.values()))


@pytest.mark.parametrize("metrics", ["", "go_goroutines 7", "process_start_time_seconds 1.7e9"])
def test_another_server_has_no_ledger(metrics: str) -> None:
    assert Ledger.parse(metrics) is None

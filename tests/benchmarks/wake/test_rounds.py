from typing import Any

import pytest
from tests.benchmarks.wake.conftest import NAME, Double

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.load.target import RequestOptions
from snooze.benchmarks.wake import services
from snooze.benchmarks.wake.phases import PHASES
from snooze.benchmarks.wake.rounds import Options, order, run
from snooze.benchmarks.wake.services import WakingService
from snooze.client.exchange import Address

pytestmark = pytest.mark.process
OPTIONS = Options([NAME], "wake", 2, RequestOptions(), "/", 10.0, True)


def test_each_round_wakes_the_service_from_zero(knative: Double) -> None:
    rounds = run(OPTIONS)

    assert knative.wakes == 1 + 2  # the first is asked whether it answers at all
    assert rounds.failures == []
    assert [[wake.service for wake in wakes] for wakes in rounds.complete] == [[NAME], [NAME]]
    for wakes in rounds.complete:
        assert list(wakes[0].phases) == list(PHASES)
        assert wakes[0].seconds > 0
        assert wakes[0].ledger is None


@pytest.mark.parametrize(("rounds", "orders"), [(2, ["abc", "bca"]), (6, ["abc", "abc", "bca", "bca", "cab", "cab"])])
def test_each_service_comes_first_in_its_share_of_the_rounds(rounds: int, orders: list[str]) -> None:
    found = [WakingService(name, Address.parse("http://127.0.0.1"), "GET", "/", None) for name in "abc"]

    shown = ["".join(one.name for one in order(found, number, rounds)) for number in range(1, rounds + 1)]

    assert shown == orders


def test_a_wake_that_fails_leaves_its_round_out(knative: Double) -> None:
    knative.most_wakes = 2

    rounds = run(OPTIONS)

    assert len(rounds.complete) == 1
    assert [failure.partition(":")[0] for failure in rounds.failures] == ["round 2"]
    assert "answered 503" in rounds.failures[0]


def test_ctrl_c_leaves_the_complete_rounds(knative: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    original = services.bring_to_zero

    def interrupt(*arguments: Any) -> None:
        if knative.wakes == 2:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(services, "bring_to_zero", interrupt)
    rounds = run(OPTIONS)

    assert len(rounds.complete) == 1
    assert rounds.failures == ["stopped by Ctrl-C after 1 rounds"]


def test_a_service_that_does_not_answer_ends_the_run_before_the_first_round(knative: Double) -> None:
    knative.status = 500

    with pytest.raises(NotMeasurable):
        run(OPTIONS)

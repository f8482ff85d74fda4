import pytest

from snooze.bundle.errors import InvalidOption
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.steps import Decision, Plan, decide, make_plan, remaining

PLAN = Plan([5, 25, 50, 100], min_requests=100, step_seconds=60)


@pytest.mark.parametrize(
    ("steps", "hold", "expected"),
    [
        ([5, 25, 50, 100], None, [5, 25, 50, 100]),
        ([5, 25], None, [5, 25, 100]),
        ([5, 25, 50, 100], 50, [5, 25, 50]),
        ([5, 25, 100], 40, [5, 25, 40]),
        ([100], 1, [1]),
    ],
)
def test_a_plan_ends_at_all_requests_or_where_it_is_held(
    steps: list[int], hold: int | None, expected: list[int]
) -> None:
    assert make_plan(steps, 100, 60, hold).steps == expected


@pytest.mark.parametrize("steps", [[], [0, 100], [5, 101], [25, 5], [5, 5]])
def test_steps_grow_from_one_to_a_hundred(steps: list[int]) -> None:
    with pytest.raises(InvalidOption) as caught:
        make_plan(steps, 100, 60, None)

    assert caught.value.option == "--steps"


@pytest.mark.parametrize(
    ("percent", "held", "expected"),
    [
        (0, False, [5, 25, 50, 100]),
        (25, False, [25, 50, 100]),
        (25, True, [50, 100]),
        (30, False, [50, 100]),
        (100, False, [100]),
        (100, True, []),
    ],
)
def test_a_rollout_that_was_stopped_repeats_its_step(percent: int, held: bool, expected: list[int]) -> None:
    assert remaining(PLAN, percent, held) == expected


@pytest.mark.parametrize(
    ("requests", "problems", "seconds", "decision"),
    [
        (0, (), 0, Decision.WAIT),
        (99, (), 59.9, Decision.WAIT),
        (100, (), 1, Decision.GO_ON),
        (100, (), 61, Decision.GO_ON),
        (99, (), 60, Decision.PUT_BACK),
        (5, ("2 of 5 failed",), 1, Decision.PUT_BACK),
        (1000, ("2 of 5 failed",), 61, Decision.PUT_BACK),
    ],
)
def test_what_follows_from_a_look(requests: int, problems: tuple[str, ...], seconds: float, decision: Decision) -> None:
    assert decide(PLAN, Verdict(requests, problems, "figures"), seconds)[0] is decision


def test_a_decision_has_its_reason() -> None:
    assert decide(PLAN, Verdict(5, ("slow", "wrong"), "figures"), 1)[1] == "slow; wrong"
    assert decide(PLAN, Verdict(500, (), "figures"), 1)[1] == "figures"
    assert decide(PLAN, Verdict(1, (), "figures"), 60)[1] == (
        "only 1 request within 60 s, 100 are needed to judge (--min-requests, --step-timeout)"
    )

import pytest

from snooze.bundle.errors import InvalidOption
from snooze.knative.rollout.judging.options import Options


@pytest.mark.parametrize("max_p99", [None, 0.02, 10.0])
def test_limits_that_can_be_judged(max_p99: float | None) -> None:
    Options(max_p99=max_p99).check()


@pytest.mark.parametrize("max_p99", [0.0, 10.5])
def test_a_limit_that_the_metrics_cannot_tell_is_refused(max_p99: float) -> None:
    with pytest.raises(InvalidOption) as caught:
        Options(max_p99=max_p99).check()

    assert caught.value.option == "--max-p99"


def test_by_default_everything_is_judged() -> None:
    assert Options().abort_on == {"errors", "p99", "disagreement"}

from snooze.knative.rollout.judging.judging import Judging
from snooze.knative.rollout.judging.verdict import Judge, Verdict


def test_what_watches_the_cluster_is_a_judge() -> None:
    judge: type[Judge] = Judging  # mypy compares the methods

    assert callable(judge.begin)
    assert Verdict(3, (), "3 requests").problems == ()

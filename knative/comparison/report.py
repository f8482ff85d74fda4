"""What a replay has shown: figures of both arms, and the verdict."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from snooze.bundle.rows.values import Array
from snooze.knative.comparison.arms import Arm
from snooze.knative.comparison.replay import Pair, Reply
from snooze.knative.comparison.scoring import Metric, Scores, score
from snooze.knative.statistics import (
    Estimate,
    detectable_gain,
    detectable_mean,
    estimate_gain,
    estimate_mean,
    estimate_share,
    flip_signs,
    mcnemar,
)

QUANTILES: Final = (0.05, 0.5, 0.95)  # of predicted values

Test = Literal["McNemar's exact test", "sign-flip test"]


@dataclass(frozen=True, slots=True)
class ArmReport:
    """The figures of one arm; times in seconds, of its complete answers only."""

    tag: str
    revision: str
    percent: int
    version: str | None
    requests: int
    errors: int
    first_error: str | None
    p50_seconds: float | None
    p99_seconds: float | None
    labels: dict[str, int] | None  # rows by predicted label
    values: dict[str, float] | None  # quantiles of predicted values
    score: Estimate | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Which arm is better on the rows that both answered.

    `gain` is the second arm's score minus the first's: above 0 it is better for accuracy, below 0 for an error.
    `lost` and `won` count the rows that only the first arm got right, and only the second.
    """

    winner: str | None
    confidence: float
    p_value: float
    test: Test
    gain: Estimate
    lost: int | None
    won: int | None
    detectable: float | None  # the difference that so many rows find in 80 of 100 tries; None for a single row


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two arms by the same rows; without rows that both answered there is no verdict."""

    service: str
    namespace: str
    rows: int  # that were to be asked
    compared: int  # that both arms answered
    metric: Metric | None
    arms: tuple[ArmReport, ArmReport]
    verdict: Verdict | None

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as a JSON object, with intervals as objects."""
        document = asdict(self)
        for holder, key in (
            (document["arms"][0], "score"),
            (document["arms"][1], "score"),
            (document["verdict"], "gain"),
        ):
            if holder is not None and holder[key] is not None:
                holder[key] = holder[key]._asdict()
        return document


def compare(
    place: tuple[str, str],
    arms: tuple[Arm, Arm],
    pairs: Sequence[Pair],
    labels: Array,
    rows: int,
    confidence: float,
) -> Comparison:
    """
    Return the comparison of two arms; `place` is the Service's name and namespace, `labels` has one for each row.

    Raises:
        InvalidData: predictions and labels cannot be compared.
    """
    both = [pair for pair in pairs if all(reply.prediction is not None for reply in pair.replies)]
    predictions = [(a.prediction or {}, b.prediction or {}) for a, b in (pair.replies for pair in both)]
    scores = score(predictions, labels[[pair.row for pair in both]]) if both else None
    first, second = (
        _describe(arm, [pair.replies[index] for pair in pairs], scores, index, confidence)
        for index, arm in enumerate(arms)
    )
    verdict = None if scores is None else _judge((first.tag, second.tag), scores, confidence)
    return Comparison(*place, rows, len(both), scores.metric if scores else None, (first, second), verdict)


def _describe(arm: Arm, replies: Sequence[Reply], scores: Scores | None, index: int, confidence: float) -> ArmReport:
    answered = [reply for reply in replies if reply.error is None]
    seconds = [reply.seconds for reply in answered]
    p50, p99 = (float(np.quantile(seconds, q)) if seconds else None for q in (0.5, 0.99))
    labels, values, estimate = None, None, None
    if scores is not None:
        predicted, losses = scores.predicted[index], scores.losses[:, index]
        if scores.metric == "accuracy":
            labels = dict(Counter(predicted).most_common())
            estimate = estimate_share(int(losses.sum()), len(losses), confidence)
        else:
            found = np.quantile(predicted, QUANTILES).tolist()
            values = {f"p{q * 100:g}": value for q, value in zip(QUANTILES, found, strict=True)}
            estimate = estimate_mean(losses, confidence)
    return ArmReport(
        tag=arm.tag,
        revision=arm.revision,
        percent=arm.percent,
        version=next((reply.version for reply in answered), None),
        requests=len(replies),
        errors=len(replies) - len(answered),
        first_error=next((reply.error for reply in replies if reply.error), None),
        p50_seconds=p50,
        p99_seconds=p99,
        labels=labels,
        values=values,
        score=estimate,
    )


def _judge(tags: tuple[str, str], scores: Scores, confidence: float) -> Verdict:
    first, second = scores.losses.T
    lost: int | None = None
    won: int | None = None
    if scores.metric == "accuracy":
        lost, won, total = int((first > second).sum()), int((second > first).sum()), len(first)
        p_value, better = mcnemar(lost, won), won > lost
        gain = estimate_gain(lost, won, total, confidence)
        detectable = detectable_gain(lost, won, total, confidence)
    else:
        differences = second - first
        p_value, better = flip_signs(differences), bool(differences.mean() < 0)
        gain = estimate_mean(differences, confidence)
        detectable = detectable_mean(differences, confidence)
    return Verdict(
        winner=tags[better] if p_value < 1 - confidence else None,
        confidence=confidence,
        p_value=p_value,
        test="McNemar's exact test" if scores.metric == "accuracy" else "sign-flip test",
        gain=gain,
        lost=lost,
        won=won,
        detectable=detectable if math.isfinite(detectable) else None,
    )

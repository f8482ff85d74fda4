"""Ask both arms the same rows, one after the other, and note what each answered."""

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from snooze.bundle.errors import InvalidData
from snooze.client.errors import ClientError, RequestFailed, UnexpectedAnswer
from snooze.client.exchange import Payload, exchange
from snooze.knative.comparison.arms import Arm
from snooze.knative.errors import WrongRevision

SEED: Final = 20261121
MAX_ERRORS: Final = 10  # one after another, of one arm: the others would not be better
UNFIT: Final = (400, 413, 415)  # statuses of a row that does not fit the model


class Reply(NamedTuple):
    """What an arm answered to one row: a prediction of the plain protocol, or an error; the time is in seconds."""

    prediction: dict[str, Any] | None
    version: str | None
    seconds: float
    error: str | None = None
    status: int | None = None


class Pair(NamedTuple):
    """The replies of both arms to one row, whose number counts from 0."""

    row: int
    replies: tuple[Reply, Reply]


def choose_rows(count: int, most: int | None) -> list[int]:
    """Return the numbers of the rows to ask, in a random order that is the same each time; `most` limits them."""
    rows = list(range(count))
    random.Random(SEED).shuffle(rows)  # noqa: S311 - no secret
    return rows[:most]


def replay(
    arms: tuple[Arm, Arm], requests: tuple[Sequence[Payload], Sequence[Payload]], rows: Sequence[int], seconds: float
) -> Iterator[Pair]:
    """
    Ask each row of both arms, and yield the replies; end early when an arm only gives errors.

    One request runs at a time, and the arms take turns in being first, so that neither time of day nor load favours
    one of them.

    Raises:
        InvalidData: no arm accepts a row.
        WrongRevision: an answer is not from the revision of its arm.
    """
    in_a_row = [0, 0]
    for turn, row in enumerate(rows):
        replies: dict[int, Reply] = {}
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            replies[index] = _ask(arms[index], requests[index][row], seconds)
            in_a_row[index] = in_a_row[index] + 1 if replies[index].error else 0
        if all(reply.status in UNFIT for reply in replies.values()):
            raise InvalidData(f"row {row}", f"no arm accepts it: {replies[0].error}")
        yield Pair(row, (replies[0], replies[1]))
        if max(in_a_row) >= MAX_ERRORS:
            return


def _ask(arm: Arm, request: Payload, seconds: float) -> Reply:
    began = time.perf_counter()
    try:
        path = arm.model.path.removeprefix("/v2") + "/predict"
        answer = exchange(arm.model.address, "POST", path, request, seconds)
        document, took = answer.json_object(), time.perf_counter() - began
        revision = answer.headers.get("snooze-revision")
        if revision != arm.revision:
            raise WrongRevision(arm.tag, arm.revision, revision)
        predictions = document.get("predictions")
        if not isinstance(predictions, list) or len(predictions) != 1 or not isinstance(predictions[0], dict):
            raise UnexpectedAnswer(answer.url, "expected one prediction for one row")
        return Reply(predictions[0], answer.headers.get("snooze-version"), took)
    except ClientError as error:
        status = error.status if isinstance(error, RequestFailed) else None
        return Reply(None, None, time.perf_counter() - began, str(error), status)

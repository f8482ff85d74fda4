"""Wait until requests go where a Service says: first by its status, then by what it answers."""

import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from snooze.client.errors import ClientError
from snooze.client.exchange import Address, exchange
from snooze.knative.kubectl import find_condition
from snooze.knative.rollout.errors import NotRouted
from snooze.knative.rollout.live import LiveService, read
from snooze.knative.rollout.revision import MODEL, read_revision

ROUTE_SECONDS: Final = 120.0
ANSWER_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.3
ANSWERS: Final = 5  # in a row, each over a connection of its own
REVISION_HEADER: Final = "snooze-revision"


def wait(live: LiveService, percents: Mapping[str, int]) -> None:
    """
    Wait until requests are routed by `percents`; where one revision gets all of them, also until it answers them.

    Raises:
        NotRouted: they are not after `ROUTE_SECONDS`, or other revisions still answer after `ANSWER_SECONDS`.
    """
    wanted = {revision: percent for revision, percent in percents.items() if percent}
    _wait(live, lambda found: _is_routed(found, wanted), ROUTE_SECONDS)
    if len(wanted) == 1 and live.url:
        _wait_for_answers(live, live.url, next(iter(wanted)))


def wait_until_latest(live: LiveService, revision: str) -> None:
    """
    Wait until a traffic target with `latestRevision` stands for a revision.

    Raises:
        NotRouted: it does not after `ROUTE_SECONDS`.
    """
    _wait(live, lambda found: found.document["status"].get("latestReadyRevisionName") == revision, ROUTE_SECONDS)


def _wait(live: LiveService, is_done: Callable[[LiveService], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_done(found := read(live.cluster, live.name)):
        if time.monotonic() > deadline:
            why = find_condition(found.document, "RoutesReady").get("message", "Knative says nothing about it")
            raise NotRouted(live.name, f"it did not change within {seconds:g} s: {why}")
        time.sleep(POLL_SECONDS)


def _is_routed(live: LiveService, wanted: Mapping[str, int]) -> bool:
    current = live.document.get("status", {}).get("observedGeneration") == live.document["metadata"]["generation"]
    return current and find_condition(live.document, "RoutesReady").get("status") == "True" and live.split == wanted


def _wait_for_answers(live: LiveService, url: str, revision: str) -> None:
    """Ask until only `revision` answers; nothing is known where the address leads nowhere from here."""
    model = read_revision(live.cluster, revision).annotations.get(MODEL)
    path = f"/v2/models/{quote(model, '')}/infer" if model else "/predict"
    deadline = time.monotonic() + ANSWER_SECONDS
    right = 0
    while right < ANSWERS:
        try:
            # Refused with 405 before the model is asked, but with the header that names the revision.
            answer = exchange(Address.parse(url), "GET", path, seconds=ANSWER_SECONDS)
        except ClientError:
            return
        found = answer.headers.get(REVISION_HEADER)
        if found is None:
            return  # not a server of ours, which a revision made by others may be
        right = right + 1 if found == revision else 0
        if time.monotonic() > deadline:
            raise NotRouted(live.name, f"{found} still answers after {ANSWER_SECONDS:g} s")

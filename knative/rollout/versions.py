"""The versions of a Service: its revisions, with what they serve and what they get."""

from datetime import datetime
from typing import NamedTuple

from snooze.knative.rollout.live import LiveService
from snooze.knative.rollout.revision import MODEL, REFUSED, SCORE, VERSION, Revision


class Version(NamedTuple):
    """One revision; what only a deployment by Snooze tells is None for others."""

    revision: str
    model: str | None
    version: str | None
    score: str | None
    percent: int  # of the requests
    url: str | None  # of its tag
    created: datetime
    ready: bool
    problem: str | None  # why it is not ready, or why it was turned down


def describe(live: LiveService, revisions: list[Revision]) -> list[Version]:
    """Return the versions in the order of `revisions`."""
    urls = {target.revision: target.url for target in live.targets if target.url}
    return [
        Version(
            one.name,
            one.annotations.get(MODEL),
            one.annotations.get(VERSION),
            one.annotations.get(SCORE),
            live.split.get(one.name, 0),
            urls.get(one.name),
            one.created,
            one.ready,
            one.failure or one.annotations.get(REFUSED),
        )
        for one in revisions
    ]


def format_age(seconds: float) -> str:
    """Return an age in whole units, at least two of them where there is a smaller one: `45s`, `90m`, `30h`, `9d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"

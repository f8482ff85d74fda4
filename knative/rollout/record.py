"""The record of a rollout, an annotation of the Service: what to put back, how far it is, and who holds it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from snooze.knative.rollout.errors import InvalidRecord, RolloutUnderWay
from snooze.knative.rollout.live import ROLLOUT, LiveService

LOCK_SECONDS: Final = 60.0  # a holder that has not renewed its record for so long has ended
RENEW_SECONDS: Final = 10.0

Traffic = list[dict[str, Any]]


class Record(NamedTuple):
    """A rollout from one revision to another; with a holder it is a lock on the Service."""

    old: str
    new: str
    traffic: Traffic  # the Service's `spec.traffic` before
    annotations: Mapping[str, Mapping[str, str | None]]  # of both revisions before, as far as the rollout changes them
    percent: int = 0  # of the requests, for the new revision
    held: bool = False  # the split is kept for an A/B test
    holder: str | None = None
    renewed: str = ""  # when its holder was last known to run, such as 2026-11-21T01:02:03Z

    @property
    def text(self) -> str:
        """The record as the annotation's value."""
        return json.dumps(self._asdict())

    def take(self, holder: str | None, now: datetime) -> "Record":
        """Return the record with a new holder, or with the same one that still runs."""
        return self._replace(holder=holder, renewed=now.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def age(self, now: datetime) -> float:
        """Return the seconds since it was renewed."""
        return (now - datetime.fromisoformat(self.renewed)).total_seconds()

    def is_locked(self, now: datetime) -> bool:
        """Return whether a process holds it that still runs, as far as is known."""
        return self.holder is not None and self.age(now) < LOCK_SECONDS


def read_record(live: LiveService) -> Record | None:
    """
    Return the record of the rollout that is under way, None without one.

    Raises:
        InvalidRecord: the annotation holds something else.
    """
    try:
        found = live.rollout
        if found is None:
            return None
        record = Record(**found)
        record.age(datetime.now(UTC))
    except (TypeError, ValueError, KeyError):
        raise InvalidRecord(live.name, ROLLOUT) from None
    return record


def make_note(change: Mapping[str, Any], record: Record | None) -> dict[str, Any]:
    """Return a JSON merge patch that also sets the Service's record, or removes it."""
    metadata = change.get("metadata", {})
    annotations = {**metadata.get("annotations", {}), ROLLOUT: None if record is None else record.text}
    return {**change, "metadata": {**metadata, "annotations": annotations}}


def check_is_free(record: Record, service: str, now: datetime, new: str) -> None:
    """
    Check that the rollout to `new` may be continued.

    Raises:
        RolloutUnderWay: its holder still runs, or the rollout is one to another revision.
    """
    state = f"{record.percent} % for {record.new}"
    if record.is_locked(now):
        raise RolloutUnderWay(service, f"{state}; {record.holder} was there {record.age(now):.0f} s ago")
    if new != record.new:
        raise RolloutUnderWay(service, f"{state}{', held' if record.held else ', stopped'}")

"""A Service under change: two revisions that share its requests, and the way back."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from snooze.knative.errors import Conflict, KnativeError, NotReady
from snooze.knative.kubectl import MIN_SCALE
from snooze.knative.rollout import readiness, routing
from snooze.knative.rollout.deployment import Deployment
from snooze.knative.rollout.errors import Displaced
from snooze.knative.rollout.live import LiveService, Target, read
from snooze.knative.rollout.record import RENEW_SECONDS, Record, Traffic, make_note, read_record
from snooze.knative.rollout.revision import REFUSED, annotate, read_revision
from snooze.knative.rollout.traffic import ALL, share

NO_GC: Final = "serving.knative.dev/no-gc"  # the garbage collector of old revisions leaves it alone
TRIES: Final = 20  # the status of a Service changes several times a second while its routes do
PAUSE_SECONDS: Final = 0.2
PODS_SECONDS: Final = 120.0
JOIN_SECONDS: Final = 5.0  # for a renewal to end: it may wait for an API server that is away

Report = Callable[[str], None]


class Canary:
    """
    A Service that this process holds, with the record of the rollout.

    Every change raises Displaced if the specification has been changed by something else meanwhile.
    """

    def __init__(self, live: LiveService, record: Record) -> None:
        """Hold `live`, which has `record` as its annotation."""
        self.live = live
        self.record = record
        self._changing = threading.RLock()
        self._over = threading.Event()
        self._lost: KnativeError | None = None

    @property
    def percents(self) -> dict[str, int]:
        """The requests that each revision gets, in percent."""
        return {self.record.old: ALL - self.record.percent, self.record.new: self.record.percent}

    def create(self, deployment: Deployment, report: Report) -> None:
        """
        Give the Service the new template, without requests, and wait until both revisions have a pod.

        Raises:
            NotReady: the new revision does not get ready, with the reason.
        """
        new = self.record.new
        if self.live.document["spec"]["template"]["metadata"].get("name") != new:
            self._write(lambda live: deployment.replace(live, share(live, self.percents)), self.record)
            report(f"{new} is created, without requests")
        readiness.wait(self.live.cluster, self.live.name, new, report)
        self.keep_pods(report)

    def keep_pods(self, report: Report) -> None:
        """Keep both revisions at one pod at least, protect them from garbage collection, and wait for the pods."""
        for name, before in self.record.annotations.items():
            annotate(self.live.cluster, name, {MIN_SCALE: str(max(1, int(before[MIN_SCALE] or 0))), NO_GC: "true"})
        deadline = time.monotonic() + PODS_SECONDS
        for name in self.record.annotations:
            waits = False
            while not read_revision(self.live.cluster, name).replicas:
                if time.monotonic() > deadline:
                    raise NotReady(self.live.cluster.namespace, name, f"it has no pod after {PODS_SECONDS:g} s")
                if not waits:
                    report(f"waiting for a pod of {name}")
                waits = True
                time.sleep(1)

    def targets(self) -> tuple[Target, Target]:
        """Return the old and the new revision with the URLs of their tags."""
        found = {one.revision: one for one in read(self.live.cluster, self.live.name).targets if one.tag}
        return found[self.record.old], found[self.record.new]

    def share(self, percent: int) -> float:
        """Give the new revision `percent` of the requests, and return the seconds until they are routed so."""
        old, new = self.record.old, self.record.new
        record = self.record._replace(percent=percent, held=False)
        return self._route(record, {old: ALL - percent, new: percent})

    def hold(self) -> None:
        """Leave the split as it is, for an A/B test."""
        self._note(self.record._replace(held=True, holder=None))

    def release(self) -> None:
        """Leave the split as it is; the rollout can be continued at once."""
        self._note(self.record._replace(holder=None))

    def finish(self) -> None:
        """Leave every request to the new revision, and end the rollout."""
        annotate(self.live.cluster, self.record.new, {REFUSED: None})
        self._end(share(self.live, {self.record.new: ALL}, [self.record.old]), self.record.new)

    def put_back(self, reason: str, report: Report) -> float:
        """
        Give every request to the old revision, then restore template, traffic and annotations, and end the rollout.

        Returns:
            The seconds until the old revision answered everything.
        """
        old = self.record.old
        seconds = self._route(self.record._replace(percent=0), {old: ALL})
        report(f"{old} serves everything again after {seconds:.1f} s")
        annotate(self.live.cluster, self.record.new, {REFUSED: reason})
        self._put_annotations_back()
        revision = read_revision(self.live.cluster, old)
        self._change(revision.restore, self.record)
        if any(target.get("latestRevision") for target in self.record.traffic):
            routing.wait_until_latest(self.live, old)
        self._end(self.record.traffic, old)
        return seconds

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Tell others every `RENEW_SECONDS` that this process still holds the Service."""
        renewing = threading.Thread(target=self._renew, daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._over.set()
            renewing.join(JOIN_SECONDS)

    def check(self) -> None:
        """
        Check that this process still holds the Service.

        Raises:
            Displaced: somebody else has changed it, or ended the rollout.
        """
        if self._lost is not None:
            raise self._lost

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                with self._changing:
                    if not self._over.is_set():
                        self._note(self.record)
            except Displaced as error:
                self._lost = error
                return
            except KnativeError:
                continue  # the API server is away: whoever needs it reports that

    def _route(self, record: Record, percents: Mapping[str, int]) -> float:
        began = time.monotonic()
        self._change(lambda live: {"spec": {"traffic": share(live, percents, self.percents)}}, record)
        routing.wait(self.live, percents)
        return time.monotonic() - began

    def _end(self, traffic: Traffic, revision: str) -> None:
        self._change(lambda _: {"spec": {"traffic": traffic}}, self.record)
        routing.wait(self.live, {revision: ALL})
        self._put_annotations_back()
        self._note(None)

    def _put_annotations_back(self) -> None:
        for name, before in self.record.annotations.items():
            annotate(self.live.cluster, name, before)

    def _note(self, record: Record | None) -> None:
        self._change(lambda _: {}, record)

    def _change(self, make: Callable[[LiveService], dict[str, Any]], record: Record | None) -> None:
        """Change the Service by the merge patch that `make` returns, and its record."""
        if record is not None:
            record = record.take(record.holder, datetime.now(UTC))
        self._write(lambda live: live.change(make_note(make(live), record)), record)

    def _write(self, change: Callable[[LiveService], LiveService], record: Record | None) -> None:
        """
        Change the Service, which then has `record`; where only its status has changed meanwhile, try again.

        Raises:
            Displaced: its specification or the record was changed by somebody else.
        """
        with self._changing:
            for _ in range(TRIES):
                try:
                    self.live = change(self.live)
                except Conflict:
                    time.sleep(PAUSE_SECONDS)
                    self.live = self._read(record)
                else:
                    self.record = record or self.record
                    if record is None:
                        self._over.set()  # a renewal would bring the record back
                    return
            raise Displaced(self.live.name, "it changes all the time")

    def _read(self, record: Record | None) -> LiveService:
        """Return the Service as it is now; that it has `record` already shows that a change has arrived after all."""
        found = read(self.live.cluster, self.live.name)
        present = read_record(found)
        if present is None or present.holder not in (self.record.holder, record and record.holder):
            raise Displaced(found.name, "the rollout was ended or continued by somebody else")
        if found.document["spec"] != self.live.document["spec"] and present != record:
            raise Displaced(found.name, "somebody else changed its template or its traffic")
        return found

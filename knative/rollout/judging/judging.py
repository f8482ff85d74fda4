"""The judge of a rollout: it watches both revisions in threads of its own, and gives its verdict at once when asked."""

import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from snooze.bundle.store import Found
from snooze.bundle.units import format_count, format_duration
from snooze.client.exchange import Address
from snooze.knative.errors import KnativeError, KubectlFailed
from snooze.knative.kubectl import POD, REVISION, REVISION_LABEL, SERVICE_LABEL, Cluster, Object
from snooze.knative.rollout.errors import MissingRight, NoFigures
from snooze.knative.rollout.judging.counts import Counts, Reading, Source, subtract
from snooze.knative.rollout.judging.health import count_restarts, find_problems
from snooze.knative.rollout.judging.options import ERRORS, P99, Options
from snooze.knative.rollout.judging.pods import PodMetrics
from snooze.knative.rollout.judging.probes import Prober, Probes
from snooze.knative.rollout.judging.prometheus import Prometheus
from snooze.knative.rollout.judging.questions import golden_questions
from snooze.knative.rollout.judging.rules import TAIL, Share, judge_errors, judge_p99
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.live import Target

INTERVAL_SECONDS: Final = 1.0
STALE_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
NO_COUNTS: Final = Counts({})


class Observation(NamedTuple):
    """What one look at the cluster has shown."""

    step: int
    at: float  # `time.monotonic()`
    health: tuple[str, ...]  # problems of the new revision and its pods
    reading: Reading
    probes: Mapping[str, Probes]  # in this step


class Judging:
    """A `Judge`. It begins to watch when it is made; close it at the end."""

    def __init__(
        self, options: Options, cluster: Cluster, service: str, old: Target, new: Target, found: Found
    ) -> None:
        """
        Watch two revisions of a service, of which the new one serves the bundle `found`.

        Raises:
            MissingRight: kubectl's user may not read pods, revisions or the metrics of pods.
            NoFigures: no pod can be read.
            PrometheusFailed: it cannot be asked.
            InvalidOption: the URL of Prometheus is not valid.
            InvalidSamples: the golden samples of the bundle cannot be read.
        """
        self._options = options
        self._cluster = cluster
        self._service = service
        self._old, self._new = old.revision, new.revision
        self._source = self._open_source()
        path, questions = golden_questions(found)
        targets = {one.revision: Address.parse(one.url) for one in (old, new) if one.url and questions}
        self._prober = Prober(path, questions, targets)
        self._probes_before: Mapping[str, Probes] = {}
        self._step = 0
        self._usual = NO_COUNTS  # of the old revision, in the last step in which it had enough requests
        self._closed = False
        self._wake = threading.Event()  # a step begins, or nobody wants to know any more
        watched, revision = self._list()
        self._restarts_before = count_restarts(self._of_new(watched))
        self._seen = self._observe(watched, revision, step=0)
        if not self._seen.reading.sources and watched:
            raise NoFigures("; ".join(self._seen.reading.notes) or "no pod is running")
        self._prober.start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def begin(self) -> None:
        """Begin a step: what was counted before does not count any more."""
        counts = self._seen.reading.counts.get(self._old, NO_COUNTS)
        if counts.requests >= self._options.min_requests:
            self._usual = counts
        self._step += 1
        self._wake.set()

    def look(self) -> Verdict:
        """Return the verdict now, without waiting for anything."""
        seen = self._seen
        health = tuple(f"{self._new}: {problem}" for problem in seen.health)
        if seen.step != self._step:
            return Verdict(0, health, "; ".join(("no figures of this step yet", *seen.reading.notes)))
        new, old = self._of_users(seen, self._new), self._of_users(seen, self._old)
        problems = (*health, *self._judge(new, old, seen.probes))
        return Verdict(new.requests, problems, self._summarize(new, old, seen))

    def close(self) -> None:
        """Watch no more."""
        self._closed = True
        self._wake.set()
        self._prober.close()
        self._watcher.join(CLOSE_SECONDS)

    def _open_source(self) -> Source:
        url, revisions = self._options.prometheus, (self._old, self._new)
        if url is None:
            return PodMetrics(self._cluster, revisions)
        return Prometheus(url, self._options.token, self._cluster.namespace, revisions)

    def _watch(self) -> None:
        began = time.monotonic()
        while True:
            self._wake.wait(max(0.0, began + INTERVAL_SECONDS - time.monotonic()))
            if self._closed:
                return
            self._wake.clear()
            began, step = time.monotonic(), self._step
            try:
                self._seen = self._observe(*self._list(), step)
            except KnativeError as error:  # the API server may be away for a while: that is not the revision's fault
                reading = self._seen.reading
                self._seen = self._seen._replace(reading=reading._replace(notes=(str(error),)))

    def _list(self) -> tuple[list[Object], Object | None]:
        """Return the pods of both revisions, and the new revision."""
        try:
            objects = self._cluster.list(f"{POD},{REVISION}", f"{SERVICE_LABEL}={self._service}")
        except KubectlFailed as error:
            if error.reason == "Forbidden":
                raise MissingRight("list", "pods and revisions.serving.knative.dev", self._cluster.namespace) from None
            raise
        revisions = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Revision"}
        own = [one for one in objects if one["metadata"]["labels"].get(REVISION_LABEL) in (self._old, self._new)]
        return [one for one in own if one["kind"] == "Pod"], revisions.get(self._new)

    def _observe(self, watched: list[Object], revision: Object | None, step: int) -> Observation:
        health = tuple(find_problems(revision, self._of_new(watched), self._restarts_before))
        reading = self._source.read(watched, step)
        tally = self._prober.tally()
        if not self._probes_before or step != self._seen.step:
            self._probes_before = tally
        probes = {name: one.since(self._probes_before[name]) for name, one in tally.items()}
        return Observation(step, time.monotonic(), health, reading, probes)

    def _of_new(self, watched: list[Object]) -> list[Object]:
        return [pod for pod in watched if pod["metadata"]["labels"][REVISION_LABEL] == self._new]

    def _of_users(self, seen: Observation, revision: str) -> Counts:
        """Return the requests of a revision without our own, which are in the times only."""
        return subtract(seen.reading.counts[revision], seen.probes.get(revision, Probes()).counted)

    def _judge(self, new: Counts, old: Counts, probes: Mapping[str, Probes]) -> list[str]:
        options = self._options
        found: list[str | None] = []
        if ERRORS in options.abort_on:
            errors = [Share(one.errors, one.requests) for one in (new, old)]
            asked = [probes.get(name, Probes()) for name in (self._new, self._old)]
            failed = [Share(one.failed, one.sent) for one in asked]
            codes = ", ".join(f"{number:.0f} with {code}" for code, number in new.by_code.items())
            rate = options.max_error_rate
            found.append(judge_errors(f"requests to {self._new} ({codes})", errors[0], errors[1], rate))
            found.append(judge_errors(f"probes of {self._new} ({asked[0].problem})", failed[0], failed[1], rate))
        if P99 in options.abort_on:
            usual = old if old.requests >= options.min_requests else self._usual
            problem = judge_p99(new, usual, options.max_p99, options.min_requests)
            found.append(problem and f"{self._new}: {problem}")
        return [problem for problem in found if problem]

    def _summarize(self, new: Counts, old: Counts, seen: Observation) -> str:
        parts = [f"{self._new}: {_describe(new)}", f"{self._old}: {_describe(old)}"]
        asked = seen.probes.get(self._new)
        parts += [f"{format_count(asked.sent, 'probe')}, {asked.failed} failed"] if asked else ["not probed: no tag"]
        age = time.monotonic() - seen.at
        parts += [f"not read for {age:.0f} s"] if age > STALE_SECONDS else []
        return "; ".join((*parts, *seen.reading.notes))


def _describe(counts: Counts) -> str:
    p99 = counts.quantile(1 - TAIL)
    text = f"{format_count(counts.requests, 'request')}, {format_count(counts.errors, 'error')}"
    return text if p99 is None or not counts.requests else f"{text}, p99 {format_duration(p99)}"

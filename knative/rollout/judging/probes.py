"""
Requests of our own to the tag of each revision: what fails before it reaches a server is not in the server's metrics.

The old revision is asked, too: where it fails as often, the way to the cluster is at fault.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Final, NamedTuple

from snooze.client.errors import Unreachable
from snooze.client.exchange import Address, Payload, exchange
from snooze.knative.rollout.judging.counts import Counts, is_failure

LANES: Final = 3  # threads for each revision: what hangs in all of them is enough for a judgement
INTERVAL_SECONDS: Final = 1.5  # between the requests of a lane
PROBE_SECONDS: Final = 10.0  # of silence, then the request has failed
CLOSE_SECONDS: Final = 2.0  # for the threads to end; a request that still hangs is left behind
MODEL_HEADER: Final = "snooze-model"  # in every answer to a prediction that our server counts


class Probes(NamedTuple):
    """The requests of our own to a revision; `counted` are those in the metrics of its server."""

    sent: int = 0
    failed: int = 0
    counted: Counts = Counts({})
    problem: str | None = None  # the last one

    def since(self, before: "Probes") -> "Probes":
        """Return those that came later."""
        samples = before.counted.samples
        counted = Counts({key: value - samples.get(key, 0.0) for key, value in self.counted.samples.items()})
        return Probes(self.sent - before.sent, self.failed - before.failed, counted, self.problem)


class Prober:
    """Asks the revisions a few times a second, in threads of its own, until it is closed."""

    def __init__(self, path: str, questions: Sequence[Payload], targets: Mapping[str, Address]) -> None:
        """Ask `questions` in turn; `targets` are the addresses by revision, `path` that of the model."""
        self._path = path
        self._questions = questions
        self._tallies = dict.fromkeys(targets, Probes())
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._ask_on, args=(revision, address, lane * INTERVAL_SECONDS / LANES), daemon=True
            )
            for revision, address in targets.items()
            for lane in range(LANES)
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def tally(self) -> Mapping[str, Probes]:
        """Return what came of the requests so far, by revision."""
        with self._lock:
            return dict(self._tallies)

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        end = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _ask_on(self, revision: str, address: Address, delay: float) -> None:
        for question in cycle(self._questions):
            if self._closed.wait(delay):
                return
            began = time.monotonic()
            self._ask(revision, address, question)
            delay = max(0.0, INTERVAL_SECONDS - (time.monotonic() - began))

    def _ask(self, revision: str, address: Address, question: Payload) -> None:
        code, problem = None, None
        try:
            answer = exchange(address, "POST", self._path, question, PROBE_SECONDS)
            if is_failure(answer.status):
                problem = f"answered {answer.status}"
            if MODEL_HEADER in answer.headers:
                code = ("code", str(answer.status))
        except Unreachable as error:
            problem = error.problem
        with self._lock:
            tally = self._tallies[revision]
            counted = dict(tally.counted.samples)
            if code:
                counted[code] = counted.get(code, 0.0) + 1
            failed = tally.failed + (problem is not None)
            self._tallies[revision] = Probes(tally.sent + 1, failed, Counts(counted), problem or tally.problem)

"""
Clients that ask a service for predictions while something happens to it, and what became of each request.

A request is sent when its bytes are written to an established connection, and lost if no complete answer comes, also if
the server closed a kept connection just before.
"""

import http.client
import select
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.benchmarks.errors import WrongAnswer
from snooze.benchmarks.load.arrivals import SEED, schedule
from snooze.benchmarks.load.outcomes import STATUSES, Outcome
from snooze.benchmarks.peers.candidates import Candidate, Golden, snooze
from snooze.bundle.samples import Sample, read_samples
from snooze.bundle.store import read
from snooze.client.exchange import Address, Answer

ANSWER_SECONDS: Final = 120.0  # a request without an answer is given up after this time
CALLERS: Final = 64


class Question(NamedTuple):
    """A prediction to ask for, with the answer that is right."""

    golden: Golden
    candidate: Candidate

    @classmethod
    def of(cls, folder: Path, row: int | None = None) -> "Question":
        """Return the first golden sample of a bundle, or one row of it."""
        bundle = read(folder)
        sample = read_samples(folder, bundle)[0]
        if row is not None:
            inputs, outputs = ({name: array[row : row + 1] for name, array in side.items()} for side in sample.sides)
            sample = Sample(inputs, outputs)
        return cls.asking(folder, sample)

    @classmethod
    def asking(cls, folder: Path, sample: Sample) -> "Question":
        """Return a question of our own to the model of a bundle."""
        golden = Golden(folder, read(folder), sample)
        return cls(golden, snooze(golden))


class Seen(NamedTuple):
    """What became of one request; times are those of `time.monotonic`."""

    begun: float
    ended: float
    outcome: Outcome
    status: int = 0
    headers: Mapping[str, str] = {}
    problem: str = ""

    @property
    def seconds(self) -> float:
        """From before the connection to the whole answer."""
        return self.ended - self.begun

    @property
    def revision(self) -> str | None:
        """Which revision answered; None if no server of ours did."""
        return self.headers.get("snooze-revision")


class Tally(list[Seen]):
    """What became of some requests."""

    @property
    def counts(self) -> Counter[Outcome]:
        """How many requests had each outcome."""
        return Counter(seen.outcome for seen in self)

    @property
    def sent(self) -> int:
        """How many requests were written to a connection."""
        return len(self) - self.counts[Outcome.REFUSED]

    @property
    def lost(self) -> int:
        """How many of those got no complete answer."""
        return self.counts[Outcome.LOST]

    @property
    def failed(self) -> "Tally":
        """The requests without a right answer."""
        return Tally(seen for seen in self if seen.outcome != Outcome.ANSWERED)

    @property
    def revisions(self) -> Counter[str | None]:
        """How many requests each revision answered."""
        return Counter(seen.revision for seen in self)

    def describe(self) -> str:
        """Return the outcomes and the most frequent problems, for the message of a failed test."""
        counts = {outcome.name.lower(): number for outcome, number in self.counts.items()}
        return f"{counts}; {Counter(seen.problem for seen in self.failed).most_common(3)}"


class Caller:
    """Sends one request after the other over a connection that it keeps."""

    def __init__(self, url: str, question: Question, headers: Mapping[str, str] | None = None) -> None:
        self._address = Address.parse(url)
        self._question = question
        self._headers = {**question.candidate.payload.headers, **(headers or {})}
        self._connection = http.client.HTTPConnection(self._address.host, self._address.port, timeout=ANSWER_SECONDS)

    def connect(self) -> None:
        """Open the connection, unless it is open."""
        if self._connection.sock is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()  # the server has closed it, as any client notices that keeps connections
        if self._connection.sock is None:
            self._connection.connect()

    def close(self) -> None:
        """Close the connection, if it is open."""
        self._connection.close()

    def ask(self) -> Seen:
        """Send one request and return what became of it."""
        begun = time.monotonic()
        try:
            self.connect()
        except OSError as error:
            return Seen(begun, time.monotonic(), Outcome.REFUSED, problem=str(error))
        try:
            path = self._address.prefix + self._question.candidate.path
            self._connection.request("POST", path, self._question.candidate.payload.body, self._headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Seen(begun, time.monotonic(), Outcome.LOST, problem=f"{type(error).__name__}: {error}")
        ended = time.monotonic()
        headers = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(self._address.url + path, response.status, headers, body)
        return self._judge(begun, ended, answer)

    def _judge(self, begun: float, ended: float, answer: Answer) -> Seen:
        problem = ""
        outcome = STATUSES.get(answer.status, Outcome.FAILED)
        if outcome != Outcome.ANSWERED:
            problem = f"HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}"
        else:
            try:
                self._question.candidate.check(self._question.golden, answer)
            except WrongAnswer as error:
                outcome, problem = Outcome.FAILED, str(error)
        return Seen(begun, ended, outcome, answer.status, answer.headers, problem)


def ask(url: str, question: Question, headers: Mapping[str, str] | None = None) -> Seen:
    """Send one request over a connection of its own."""
    with closing(Caller(url, question, headers)) as caller:
        return caller.ask()


def burst(url: str, question: Question, connections: int) -> Tally:
    """Open so many connections, then send a request on all of them at once."""
    together = threading.Barrier(connections)

    def send(_: int) -> Seen:
        with closing(Caller(url, question)) as caller:
            try:
                caller.connect()
            except OSError:
                pass  # asking tries again, and counts the failure
            together.wait()
            return caller.ask()

    with ThreadPoolExecutor(connections) as pool:
        return Tally(pool.map(send, range(connections)))


@contextmanager
def load(url: str, questions: Sequence[Question], rps: float, callers: int = CALLERS) -> Iterator[Tally]:
    """Send requests at a fixed rate, the questions in turn, and yield what became of those that have ended."""
    tally, over = Tally(), threading.Event()
    due = enumerate(schedule(rps, 1.0, "constant", SEED))
    turn = threading.Lock()
    begun = time.monotonic()

    def call() -> None:
        kept = [Caller(url, question) for question in questions]
        while not over.is_set():
            with turn:
                number, after = next(due)
            if over.wait(begun + after - time.monotonic()):
                break
            tally.append(kept[number % len(kept)].ask())
        for caller in kept:
            caller.close()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        over.set()
        for thread in threads:
            thread.join()


def row_of(folder: Path, features: "np.ndarray[Any, np.dtype[np.float32]]") -> Sample:
    """Return one row with what the bundle's model, run here, answers for it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / read(folder).session.file)
    names = [tensor.name for tensor in session.get_outputs()]
    inputs = {session.get_inputs()[0].name: features[np.newaxis]}
    return Sample(inputs, dict(zip(names, session.run(None, inputs), strict=True)))

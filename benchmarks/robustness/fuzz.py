"""
A fuzzer: valid, faulty and scrambled requests on many connections, and what must hold for each answer.

It goes over both ways into the service: its own HTTP protocol, and ASGI under uvicorn as it comes. What uvicorn itself
answers there (a 400 in plain text, an end of the connection) is not ours and is not checked.
"""

import asyncio
import gzip
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.benchmarks.comparison import Results
from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import MIB, rollup_bytes
from snooze.benchmarks.peers.candidates import PEERS, Candidate, Golden, snooze
from snooze.benchmarks.peers.servers import Running, running
from snooze.benchmarks.progress import show
from snooze.benchmarks.robustness.answers import Answer, AnswerReader, Malformed
from snooze.benchmarks.robustness.mutations import Case, Generator
from snooze.bundle.contract import Bundle
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidOption
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest
from snooze.client import exchange, v2

CONNECTIONS: Final = 32
GOLDEN_ROWS: Final = 16
PATHS: Final = ("protocol", "asgi")
HANG_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 0.3  # after which scrambled bytes are taken for half a request
WAIT_FOR_ONE_IN: Final = 10  # of these is waited for to the end, which the server makes after some time
MAX_GROWTH: Final = 2 * MIB  # in each half of what follows the warm-up
WARM_UP_SHARE: Final = 0.3
SETTLE_SECONDS: Final = 1.0
MIN_ANSWERED: Final = 1 / 3
MAX_SHOWN: Final = 3
KNOWN: Final = {
    "200",
    "400",
    "404",
    "405",
    "406",
    "408",
    "411",
    "413",
    "415",
    "417",
    "429",
    "431",
    "501",
    "503",
    "504",
    "505",
}
UVICORNS: Final = b"Invalid HTTP request received."
MARK: Final = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n"
METHOD: Final = (
    "{requests} requests on {connections} connections, seed {seed}. Half are valid, a tenth has random bytes. Every "
    "answer is checked: status, form of the error, echo of the request's id, names, datatypes, shapes and sizes of the "
    "outputs, the values of golden rows. Growth is of anonymous memory, from {warm_up:.0%} of the requests to the end."
)


class Finding(NamedTuple):
    """Something that must not happen: how often it did, and the first requests with which it did."""

    kind: str
    times: int
    examples: Sequence[str]


class Report(NamedTuple):
    """What came of the requests on one path. `kinds` are the counts of 200 among all by kind of request."""

    path: str
    requests: int
    seconds: float
    statuses: Mapping[str, int]
    kinds: Mapping[str, tuple[int, int]]
    growth_mib: float
    findings: Sequence[Finding]


def run(bundle: Path, requests: int, seed: int, path: str, python: str = sys.executable) -> Results:
    """Fuzz a server of the model at `bundle` on each path (or one of them), and return the results."""
    if path not in ("both", *PATHS):
        raise InvalidOption("--path", f"expected both, {' or '.join(PATHS)}, got {path!r}")
    paths = PATHS if path == "both" else (path,)
    golden = Golden.of(bundle)
    reports = []
    for one in paths:
        candidate = snooze(golden, python)
        if one == "asgi":
            candidate = through_asgi(candidate, python)
        with running(candidate, golden) as server:
            reports.append(fuzz(server, golden.folder, requests // len(paths), seed, one))
    return summarize(reports, seed, python)


def through_asgi(candidate: Candidate, python: str = sys.executable) -> Candidate:
    """Return the same server under uvicorn as it comes."""
    return candidate._replace(name="snooze under uvicorn", command=(python, str(PEERS / "asgi.py")))


def fuzz(server: Running, folder: Path, requests: int, seed: int, path: str) -> Report:
    """Send requests to a server and return what came of them."""
    found = latest(folder)
    golden = cut_rows(found.bundle, read_samples(found.folder, found.bundle)[0])
    fuzzer = Fuzzer(server, found.bundle, golden, requests, seed, path)
    begun = time.perf_counter()
    asyncio.run(fuzzer.run())
    return fuzzer.report(time.perf_counter() - begun)


def cut_rows(bundle: Bundle, sample: Sample) -> list[Sample]:
    """Return the first rows of a golden case, each as a case of its own; the case itself if it has no rows."""
    sides = (*bundle.inputs, *bundle.outputs)
    if any(tensor.shape[:1] != (-1,) for tensor in sides):
        return [sample]
    rows = min(GOLDEN_ROWS, *(len(array) for side in sample.sides for array in side.values()))
    cut = [
        [{name: array[row : row + 1] for name, array in side.items()} for side in sample.sides] for row in range(rows)
    ]
    return [Sample(inputs, outputs) for inputs, outputs in cut]


class Channel(asyncio.Protocol):
    """One connection: answers come out one by one, None at its end."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_closed = False
        self.sent: list[bytes] = []  # what was sent last, and before that
        self._reader = AnswerReader()
        self._answers: list[Answer] = []
        self._waiter: asyncio.Future[None] | None = None
        self._problem: Malformed | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut what came into answers."""
        try:
            self._answers += self._reader.feed(data)
        except Malformed as problem:
            self._problem = problem
            self.is_closed = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self.is_closed = True
        self._wake()

    def send(self, data: bytes) -> None:
        """Send without waiting."""
        assert self.transport is not None
        self.transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        assert self.transport is not None
        self.transport.abort()

    async def answer(self, seconds: float) -> Answer | None:
        """Return the next answer; None at the end of the connection. Raises TimeoutError or Malformed."""
        while not self._answers:
            if self._problem is not None:
                raise self._problem
            if self.is_closed:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(seconds):
                await self._waiter
        return self._answers.pop(0)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Fuzzer:
    """Sends the requests of a generator to a server and collects what must not happen."""

    def __init__(
        self, server: Running, bundle: Bundle, golden: Sequence[Sample], requests: int, seed: int, path: str
    ) -> None:
        self._server = server
        self._bundle = bundle
        self._golden = golden
        self._generator = Generator(bundle, golden, seed)
        self._requests = requests
        self._left = requests
        self._path = path
        self._outputs = {tensor.name: tensor for tensor in bundle.outputs}
        self._right: dict[tuple[int, bool], Any] = {}  # right outputs of golden rows, by row and whether binary
        self._statuses: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._found: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()
        self._growth = 0

    async def run(self) -> None:
        """Send everything, and measure the growth of memory."""
        warm_up = round(self._requests * WARM_UP_SHARE)
        half = (self._requests - warm_up) // 2
        sizes = []
        for part in (warm_up, half, self._requests - warm_up - half):
            self._left = part
            await asyncio.gather(*(self._work() for _ in range(CONNECTIONS)))
            await asyncio.sleep(SETTLE_SECONDS)
            sizes.append(self._memory())
        self._growth = sizes[2] - sizes[0]
        # A leak grows in both halves; one step is the largest request so far, or a module that was imported.
        if min(sizes[1] - sizes[0], sizes[2] - sizes[1]) > MAX_GROWTH and "crash" not in self._counts:
            self._report("growth", f"{self._growth / MIB:.1f} MiB more anonymous memory at the end")

    def report(self, seconds: float) -> Report:
        """Return what was found."""
        answered = self._statuses["200"]
        if answered < MIN_ANSWERED * self._requests:
            self._report("answers", f"only {answered} of {self._requests} requests were answered 200")
        findings = [Finding(kind, self._counts[kind], self._found[kind]) for kind in self._found]
        kinds = {kind: (self._answered[kind], count) for kind, count in sorted(self._kinds.items())}
        statuses = dict(sorted(self._statuses.items()))
        return Report(self._path, self._requests, seconds, statuses, kinds, self._growth / MIB, findings)

    async def _work(self) -> None:
        """Send requests over one connection after the other until there are none left, or the server is gone."""
        channel: Channel | None = None
        while self._left > 0 and "crash" not in self._counts:
            cases = self._take()
            if channel is None or channel.is_closed:
                channel = await self._connect()
                if channel is None:
                    return
            try:
                usable = await (
                    self._exchange(channel, cases) if cases[0].framed else self._scramble(channel, cases[0])
                )
            except TimeoutError:
                before = channel.sent[1:] or "nothing"
                self._report("hang", f"after {before}, no answer within {HANG_SECONDS:.0f} s to one of", *cases)
                usable = False
            except Malformed as problem:
                self._report("malformed", str(problem), *cases)
                usable = False
            if not usable:
                channel.abort()
                channel = None
        if channel is not None:
            channel.abort()

    def _take(self) -> list[Case]:
        """Return the next requests for one connection: several in a row, but none after one that ends it."""
        cases = [self._generator.next()]
        for _ in range(self._generator.at_once() - 1):
            if cases[-1].last or not cases[-1].framed:
                break
            following = self._generator.next()
            if not following.framed:
                following = self._generator.valid()
            cases.append(following)
        self._left -= len(cases)
        self._kinds.update(case.kind for case in cases)
        if self._left % 1000 < len(cases):
            show(f"{self._path}: {self._left} requests left")
        return cases

    async def _connect(self) -> Channel | None:
        loop = asyncio.get_running_loop()
        try:
            _, channel = await loop.create_connection(Channel, "127.0.0.1", self._server.port)
        except OSError as error:
            self._report("crash", f"the server does not accept connections any more: {error}")
            return None
        return channel

    async def _exchange(self, channel: Channel, cases: Sequence[Case]) -> bool:
        """Send requests, check their answers, and return whether the connection can be used again."""
        data = b"".join(case.sent for case in cases)
        begin = 0
        for cut in (*self._generator.cuts(len(data)), len(data)):
            channel.send(data[begin:cut])
            begin = cut
            if cut < len(data):
                await asyncio.sleep(0)
        for case in cases:
            answer = await channel.answer(HANG_SECONDS)
            if answer is None:
                if self._path != "asgi":
                    self._report("lost", "the connection ended without an answer to", case)
                return False
            self._check(case, answer)
            if answer.closes:
                return False
        return True

    async def _scramble(self, channel: Channel, case: Case) -> bool:
        """Send bytes of which nobody knows how many requests they are, and a mark; read to the answer of the mark."""
        mark = b"mark-%d" % case.number
        channel.send(case.sent if case.kind == "half" else case.sent + MARK % mark)
        waits = self._path != "asgi" and case.number % WAIT_FOR_ONE_IN == 0
        while True:
            try:
                answer = await channel.answer(HANG_SECONDS if waits else SILENCE_SECONDS)
            except TimeoutError:
                if waits:
                    raise
                return False
            waits = False  # the mark may have become a part of the request that was answered
            if answer is None:
                return False
            if answer.headers.get(b"x-request-id") == mark:
                return not answer.closes
            self._check(case, answer)
            if answer.closes:
                return False

    def _check(self, case: Case, answer: Answer) -> None:
        """Check one answer against what its request promises."""
        status = str(answer.status)
        self._statuses[status] += 1
        if status not in KNOWN:
            self._report("500" if status == "500" else "status", f"{status} {answer.body[:200]!r} to", case)
            return
        if self._path == "asgi" and answer.body == UVICORNS:
            return
        if case.valid and status not in ("200", "429", "503"):
            self._report("refused", f"{status} {answer.body[:200]!r} to the valid", case)
        echoed = answer.headers.get(b"x-request-id", b"")
        # A head that cannot be read to its end is answered with an id that the server has made.
        if case.request_id not in (b"", echoed) and case.framed and (case.valid or echoed.startswith(b"r")):
            self._report("mixed up", f"the answer to {echoed!r} came for", case)
        if status != "200":
            if not _is_error(answer):
                self._report("error", f"{status} {answer.body[:200]!r} is no error in JSON, to", case)
            return
        self._answered[case.kind] += 1
        problem = self._problem_of(case, answer)
        if problem:
            self._report("wrong", f"{problem}, in {answer.body[:300]!r} to", case)

    def _problem_of(self, case: Case, answer: Answer) -> str:
        """Return what is wrong with an answer 200, empty if nothing is."""
        try:
            body = _unpacked(answer)
            if b"inference-header-content-length" in answer.headers:
                length = int(answer.headers[b"inference-header-content-length"])
                document, tail = json.loads(body[:length]), body[length:]
            elif answer.headers.get(b"content-type") == b"application/json":
                document, tail = json.loads(body), b""
            else:
                return ""
        except (ValueError, zlib.error, EOFError) as error:
            return f"the body cannot be read ({error})"
        if case.kind not in V2 or not isinstance(document, dict) or "outputs" not in document:
            return "" if not case.kind.startswith("valid") or "predictions" in document else "no predictions"
        try:
            return self._problem_of_outputs(case, document, tail)
        except (KeyError, TypeError):  # the answer to another request
            return "the outputs have another form than those of Open Inference"

    def _problem_of_outputs(self, case: Case, document: Mapping[str, Any], tail: bytes) -> str:
        at = 0
        for output in document["outputs"]:
            tensor = self._outputs.get(output["name"])
            if tensor is None or output["datatype"] != tensor.datatype:
                return f"output {output['name']!r} is not one of the model"
            shape = output["shape"]
            if len(shape) != len(tensor.shape) or any(
                a not in (-1, b) for a, b in zip(tensor.shape, shape, strict=True)
            ):
                return f"output {output['name']!r} has the shape {shape}"
            size = output.get("parameters", {}).get("binary_data_size")
            if size is not None:
                at += size
                width = DATATYPES[tensor.datatype].itemsize
                if tensor.datatype != "BYTES" and size != width * int(np.prod(shape)):
                    return f"output {output['name']!r} has {size} bytes"
            elif len(output["data"]) != int(np.prod(shape)):
                return f"output {output['name']!r} has {len(output['data'])} values"
        if at != len(tail):
            return f"{len(tail)} bytes of binary tensors, announced {at}"
        if not case.valid:
            return ""
        if document["id"] != f"r{case.number}":
            return f"the id is {document['id']!r}"
        if set(self._outputs) != {output["name"] for output in document["outputs"]}:
            return "outputs are missing"
        return self._problem_of_values(case, document, tail) if case.golden >= 0 else ""

    def _problem_of_values(self, case: Case, document: Mapping[str, Any], tail: bytes) -> str:
        """Compare the outputs of a golden row; equal ones only once."""
        key = case.golden, bool(tail)
        if self._right.get(key) == (document["outputs"], tail):
            return ""
        header = json.dumps(document).encode()
        outputs = v2.decode(exchange.Answer("", 200, {exchange.HEADER_LENGTH.lower(): str(len(header))}, header + tail))
        for name, expected in self._golden[case.golden].outputs.items():
            if not matches(outputs[name], expected, self._bundle.tolerance[name]):
                return f"output {name!r} is {outputs[name].tolist()}, expected {expected.tolist()}"
        self._right[key] = document["outputs"], tail
        return ""

    def _report(self, kind: str, problem: str, *cases: Case) -> None:
        self._counts[kind] += 1
        examples = self._found.setdefault(kind, [])
        if len(examples) < MAX_SHOWN:
            sent = " + ".join(f"request {case.number} ({case.kind}): {case.sent!r}" for case in cases)
            examples.append(f"{problem} {sent}".rstrip())

    def _memory(self) -> int:
        try:
            return rollup_bytes(self._server.pid, "Anonymous:")
        except NotMeasurable:  # it has ended, which is reported as a crash
            return 0


V2: Final = ("valid v2", "faulty v2")


def _is_error(answer: Answer) -> bool:
    """Return whether an answer has the form of every error: a JSON object with a text."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("error"), str)


def _unpacked(answer: Answer) -> bytes:
    encoding = answer.headers.get(b"content-encoding")
    if encoding == b"gzip":
        return gzip.decompress(answer.body)
    return zlib.decompress(answer.body) if encoding == b"deflate" else answer.body


def summarize(reports: Sequence[Report], seed: int, python: str = sys.executable) -> Results:
    """Return the table, a row for each path; the figures hold the findings."""
    rows = []
    for one in reports:
        answered = one.statuses.get("200", 0) / max(1, one.requests)
        statuses = ", ".join(f"{status}: {count}" for status, count in one.statuses.items())
        findings = ", ".join(f"{finding.kind}: {finding.times}" for finding in one.findings) or "none"
        growth, seconds = f"{one.growth_mib:+.1f}", f"{one.seconds:.0f}"
        rows.append([one.path, str(one.requests), f"{answered:.0%}", statuses, growth, findings, seconds])
    method = METHOD.format(
        requests=sum(one.requests for one in reports),
        connections=CONNECTIONS,
        seed=seed,
        warm_up=WARM_UP_SHARE,
    )
    figures = {
        one.path: one._asdict() | {"findings": [finding._asdict() for finding in one.findings]} for one in reports
    }
    columns = ["path", "requests", "answered 200", "by status", "growth MiB", "findings", "s"]
    return Results("Fuzzing", method, describe(python), figures, columns, rows)


def failures(results: Results) -> list[str]:
    """Return the findings, each with its first request."""
    return [
        f"{path}: {finding['kind']} ({finding['times']}): {finding['examples'][0]}"
        for path, one in results.figures.items()
        for finding in one["findings"]
    ]

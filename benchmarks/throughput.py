"""
Requests per second and latency on one core, beside other servers and the limit.

A row of the comparison is a model, a number of rows in each request, and an encoding. In each round all servers take
turns: each is started, has one core to itself, and wrk on another core keeps 1, 8 and 64 connections busy; the best of
the three rates counts. The limit of every server on uvicorn is 1 / (1 / requests per second of bare uvicorn that reads
the same body + time of `session.run`). A server's share of it is taken within each round, so that a change of the
machine's speed between the rounds does not matter.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from snooze.benchmarks import wrk
from snooze.benchmarks.comparison import Quartiles, Results
from snooze.benchmarks.errors import NotMeasurable, WrongAnswer
from snooze.benchmarks.machine import describe, other_work, two_cores
from snooze.benchmarks.meters import Memory
from snooze.benchmarks.peers.candidates import ENVIRONMENT, PEERS, Candidate, Golden, Servers
from snooze.benchmarks.peers.servers import Running, connect, predict, running
from snooze.benchmarks.progress import show
from snooze.benchmarks.wrk import Load
from snooze.bundle.errors import InvalidOption
from snooze.client.exchange import Payload

CONNECTIONS: Final = (1, 8, 64)
MEMORY_REQUESTS: Final = 1000
WARM_UP_REQUESTS: Final = 100
BARE: Final = "bare uvicorn"
STANDARD: Final = (  # model, rows of a request, binary
    ("tabular", 1, False),
    ("mlp", 1, False),
    ("mlp", 32, False),
    ("mlp", 32, True),
    ("convnet", 1, False),
    ("convnet", 1, True),
)
# What arrives with a request to a service of Knative that the activator forwards, from a client behind Kourier.
KNATIVE_HEADERS: Final = {
    "Host": "model.default.example.com",
    "User-Agent": "python-requests/2.32.5",
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
    "Forwarded": "for=192.0.2.17;host=model.default.example.com;proto=https",
    "K-Proxy-Request": "activator",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "X-Forwarded-For": "192.0.2.17, 10.244.0.12, 10.244.0.31",
    "X-Forwarded-Host": "model.default.example.com",
    "X-Forwarded-Proto": "https",
    "X-Request-Id": "5f0b0a3c-9a8e-4f0e-8b0e-2b6f6f1d5f7a",
}
METHOD: Final = (
    "Rounds: {rounds}; in each, one server at a time on core {server_core}, started anew, and wrk ({seconds:g} s, 1 "
    "thread) on core {load_core}. Rates and latencies are medians over the rounds; a round's best rate over "
    "{connections} connections counts. limit = 1 / (1 / bare + session.run on the server's core), and the share of it "
    "is taken within each round: median (quartiles). Golden rows as the body, the first answer checked; any answer "
    "but 200 stops the run. CPU us is the server's CPU for one request, at the number of connections with the least; "
    "% by CPU is that of the limit (bare + session.run) as a share of it. Memory is after 1,000 requests, before "
    "wrk. {headers}{installation}."
)


class Row(NamedTuple):
    """What every server is asked for: golden rows of a model in an encoding."""

    golden: Golden
    rows: int
    binary: bool

    @property
    def name(self) -> str:
        """The row's name in the table, such as `mlp x 32 binary`."""
        rows = f" x {self.rows}" if self.rows > 1 else ""
        return f"{self.golden.bundle.name}{rows} {'binary' if self.binary else 'JSON'}"


class Series(NamedTuple):
    """What all rounds showed of one server: by number of connections, in the order of the rounds."""

    loads: Mapping[int, list[Load]]
    memory: list[Memory]  # of the first round only

    @property
    def best(self) -> list[float]:
        """The most requests per second of each round."""
        return [max(load.rps for load in loads) for loads in zip(*self.loads.values(), strict=True)]

    @property
    def cpu_us(self) -> list[float]:
        """The least CPU for one request of each round."""
        return [min(load.cpu_us for load in loads) for loads in zip(*self.loads.values(), strict=True)]


class Measured(NamedTuple):
    """A row and who is asked for it; the seconds of `session.run` in each round, and the servers' series by name."""

    row: Row
    candidates: Sequence[Candidate]
    run_seconds: list[float]
    servers: Mapping[str, Series]

    @property
    def limits(self) -> list[float] | None:
        """The limit in each round, in requests per second; None without bare uvicorn."""
        if BARE not in self.servers:
            return None
        pairs = zip(self.servers[BARE].best, self.run_seconds, strict=True)
        return [1 / (1 / bare + run) for bare, run in pairs]

    @property
    def limits_cpu_us(self) -> list[float] | None:
        """The CPU for one request at the limit in each round, in microseconds; None without bare uvicorn."""
        if BARE not in self.servers:
            return None
        return [bare + run * 1e6 for bare, run in zip(self.servers[BARE].cpu_us, self.run_seconds, strict=True)]

    def shares(self, server: str) -> list[float] | None:
        """Return a server's share of the limit in each round; None for bare uvicorn, and without it."""
        if self.limits is None or server == BARE:
            return None
        return [rps / limit for rps, limit in zip(self.servers[server].best, self.limits, strict=True)]

    def cpu_shares(self, server: str) -> list[float] | None:
        """Return the CPU of the limit as a share of the server's in each round; None for bare uvicorn, and without."""
        if self.limits_cpu_us is None or server == BARE:
            return None
        return [limit / own for own, limit in zip(self.servers[server].cpu_us, self.limits_cpu_us, strict=True)]


def rows_of(paths: Sequence[Path], counts: Sequence[int], encodings: Sequence[str]) -> list[Row]:
    """Return the rows of all models with so many rows in each of the encodings `json` and `binary`."""
    for encoding in encodings:
        if encoding not in ("json", "binary"):
            raise InvalidOption("--encoding", f"expected json or binary, got {encoding!r}")
    return [
        Row(Golden.of(path, count), count, encoding == "binary")
        for path in paths
        for count in counts
        for encoding in encodings
    ]


def standard_rows(models: Mapping[str, Path]) -> list[Row]:
    """Return the rows of the standard table for the models of `snooze.benchmarks.models`."""
    return [Row(Golden.of(models[name], rows), rows, binary) for name, rows, binary in STANDARD]


def run(
    rows: Sequence[Row], servers: Servers, seconds: float, rounds: int, headers: Mapping[str, str] | None = None
) -> Results:
    """
    Measure each server with each row in some rounds and return the results; `headers` are added to all requests.

    Raises:
        SnoozeError: it names the server that failed or answered wrongly, or what is missing.
    """
    wrk.require()
    warnings, cores, installation = other_work(), two_cores(), servers.describe()
    measured = [prepare(row, servers, headers or {}) for row in rows]
    for number in range(rounds):
        for one in measured:
            show(f"round {number + 1} of {rounds}: {one.row.name}")
            measure_round(one, servers.python, seconds, cores)
    show("")
    return summarize(measured, servers.python, warnings, {
        "server_core": cores[0], "load_core": cores[1], "seconds": max(1, round(seconds)), "rounds": rounds,
        "installation": installation, "headers": "With the headers that Knative adds. " if headers else "",
    })  # fmt: skip


def prepare(row: Row, servers: Servers, headers: Mapping[str, str]) -> Measured:
    """Return a row without rounds yet, for the servers that take its encoding."""
    candidates = [
        one._replace(payload=Payload(one.payload.body, {**one.payload.headers, **headers}))
        for one in servers.candidates(row.golden, row.binary)
    ]
    series = {one.name: Series({count: [] for count in CONNECTIONS}, []) for one in candidates}
    return Measured(row, candidates, [], series)


def measure_round(measured: Measured, python: str, seconds: float, cores: tuple[int, int]) -> None:
    """Add one round of a row: each server in turn on `cores[0]`, loaded from `cores[1]`."""
    golden = measured.row.golden
    measured.run_seconds.append(session_run_seconds(golden, measured.row.rows, cores[0], python))
    for candidate in measured.candidates:
        series = measured.servers[candidate.name]
        with running(candidate, golden, cores[:1]) as server, wrk.script([candidate]) as requests:
            send_all(server, [candidate], WARM_UP_REQUESTS if series.memory else MEMORY_REQUESTS)
            if not series.memory:
                series.memory.append(Memory.of(server.pid))
            for count, loads in series.loads.items():
                loads.append(wrk.run(server, requests, count, seconds, cores[1]))


def send_all(server: Running, candidates: Sequence[Candidate], requests: int) -> None:
    """Send so many requests, those of the candidates in turn; WrongAnswer if one is not answered with 200."""
    connection = connect(server.port)
    for number in range(requests):
        answer = predict(connection, candidates[number % len(candidates)])
        if answer.status != 200:
            raise WrongAnswer(server.candidate.name, f"status {answer.status}")
    connection.close()


def session_run_seconds(golden: Golden, rows: int, core: int, python: str) -> float:
    """Return the median seconds of one run of golden rows, in a process of its own on `core`."""
    command = [python, str(PEERS / "session_run.py"), str(golden.folder), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT) as process:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    if process.returncode:
        raise NotMeasurable("session.run", "the process that measures it failed, see above")
    return float(output)


def summarize(measured: Sequence[Measured], python: str, warnings: Sequence[str], method: Mapping[str, Any]) -> Results:
    """Return the table: a line for each server and for the limit of each row."""
    figures: dict[str, Any] = {}
    lines: list[list[str]] = []
    all_loads: dict[str, list[Load]] = {}
    for one in measured:
        name = one.row.name
        figures[name] = {
            "session_run_seconds": one.run_seconds,
            "limit_rps": one.limits,
            "limit_cpu_us": one.limits_cpu_us,
            "servers": {},
        }
        for server, series in one.servers.items():
            shares, cpu_shares = one.shares(server), one.cpu_shares(server)
            loads = {count: [load._asdict() for load in own] for count, own in series.loads.items()}
            memory = series.memory[0]._asdict()
            figures[name]["servers"][server] = {
                "loads": loads,
                "share_of_limit": shares,
                "share_by_cpu": cpu_shares,
                "memory_mib": memory,
            }
            lines.append([name, server, *_describe(series, shares, cpu_shares)])
            all_loads[f"{name} {server}"] = [load for own in series.loads.values() for load in own]
        if one.limits is not None and one.limits_cpu_us is not None:
            nothing = ["-"] * len(CONNECTIONS)
            middle = [f"**{median(one.limits):.0f}**", "100", f"{median(one.limits_cpu_us):.0f}", "100"]
            lines.append([name, "limit", *nothing, *middle, *nothing, "-", "-"])
    connections = ", ".join(map(str, CONNECTIONS))
    rates = [f"req/s at {count}" for count in CONNECTIONS]
    latencies = [f"p50 / p99 ms at {count}" for count in CONNECTIONS]
    return Results(
        "Requests per second and latency on one core",
        METHOD.format(connections=connections, **method),
        describe(python),
        figures,
        [
            "row",
            "server",
            *rates,
            "best",
            "% of the limit",
            "CPU us",
            "% by CPU",
            *latencies,
            "PSS MiB",
            "anonymous MiB",
        ],
        lines,
        [*warnings, *wrk.warn(all_loads), *warn_of_taken_cpu(measured)],
    )


def warn_of_taken_cpu(measured: Sequence[Measured]) -> list[str]:
    """Return a warning if servers did not get their core although most connections were busy."""
    most = max(CONNECTIONS)
    cores = [load.server_cores for one in measured for own in one.servers.values() for load in own.loads[most]]
    taken = sum(used < wrk.SATURATED for used in cores)
    if not taken:
        return []
    return [
        f"In {taken} of {len(cores)} measurements with {most} connections the server had less than "
        f"{wrk.SATURATED:.0%} of its core: other work took the rest. CPU per request is more certain than rates."
    ]


def _describe(series: Series, shares: Sequence[float] | None, cpu_shares: Sequence[float] | None) -> list[str]:
    """Return the cells of one server's line after its name."""
    latencies = [
        f"{median(load.p50_ms for load in loads):.2f} / {median(load.p99_ms for load in loads):.2f}"
        for loads in series.loads.values()
    ]
    return [
        *(f"{median(load.rps for load in loads):.0f}" for loads in series.loads.values()),
        f"**{median(series.best):.0f}**",
        _percent(shares),
        f"{median(series.cpu_us):.0f}",
        _percent(cpu_shares),
        *latencies,
        f"{series.memory[0].pss:.1f}",
        f"{series.memory[0].anonymous:.1f}",
    ]


def _percent(shares: Sequence[float] | None) -> str:
    return "-" if shares is None else str(Quartiles.of([100 * one for one in shares]))

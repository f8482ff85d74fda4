"""
What growth costs: more models in one server, more rows in a request, and what a second core brings.

Each case is a server that is started anew in each round, the cases in turn: time and CPU to the first right answer,
memory then and after 1,000 requests, and the rate and latencies that wrk measures with 8 connections.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from snooze.benchmarks import wrk
from snooze.benchmarks.cold_start import SETTLE_SECONDS
from snooze.benchmarks.comparison import Quartiles, Results
from snooze.benchmarks.machine import describe, other_work, two_cores
from snooze.benchmarks.meters import Memory
from snooze.benchmarks.peers.candidates import Candidate, Golden, describe_installation, snooze
from snooze.benchmarks.peers.servers import running
from snooze.benchmarks.progress import show
from snooze.benchmarks.throughput import MEMORY_REQUESTS, WARM_UP_REQUESTS, Row, send_all
from snooze.benchmarks.wrk import Load
from snooze.bundle.draft import Draft
from snooze.bundle.store import read

MODELS: Final = (1, 10, 50)
ROWS: Final = (1, 32, 256)
CONNECTIONS: Final = 8
MEMORY_COLUMNS: Final = ("PSS (anonymous) MiB, started", "after 1,000 requests")
METHOD: Final = (
    "Rounds: {rounds}; in each, the server of every case is started anew, and wrk ({seconds:g} s, 1 thread, "
    "{connections} connections) runs on core {load_core}{shared}. Medians over the rounds, of the start with "
    "quartiles. Start is from spawn to the first answer, which has to equal the golden outputs, with CPU of all "
    "threads. Memory is after that, and after 1,000 requests. Several models are copies of one under other names, "
    "asked in turn. CPU us is the server's for one request. Any answer but 200 stops the run; {installation}."
)


class Case(NamedTuple):
    """A server of Snooze, what it is asked for in turn, and on how many cores."""

    name: str
    golden: Golden
    requests: Sequence[Candidate]
    rows: int = 1
    cores: int = 1


class Outcome(NamedTuple):
    """What one round of a case showed; `settled` is the memory after 1,000 requests, in later rounds after 100."""

    wall_ms: float
    cpu_ms: float
    started: Memory
    settled: Memory
    load: Load


def run(models: Mapping[str, Path], seconds: float, rounds: int, python: str = sys.executable) -> Results:
    """
    Measure all cases with the models of `snooze.benchmarks.models` and return the results.

    Raises:
        SnoozeError: it names what failed or is missing.
    """
    wrk.require()
    warnings, (server_core, load_core) = other_work(), two_cores()
    cores = {1: [server_core], 2: sorted(os.sched_getaffinity(0))[:2]}
    installation = describe_installation(python)
    outcomes: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cases = list(make_cases(models, Path(folder), python))
        for number in range(rounds):
            for case in cases:
                show(f"round {number + 1} of {rounds}: {case.name}")
                requests = WARM_UP_REQUESTS if number else MEMORY_REQUESTS
                outcome = measure(case, cores[case.cores], load_core, seconds, requests)
                outcomes.setdefault(case.name, []).append(outcome)
    show("")
    shared = ", which it shares with the server of two cores" if load_core in cores[2] else ""
    return summarize(cases, outcomes, python, warnings, {
        "rounds": rounds, "seconds": max(1, round(seconds)), "connections": CONNECTIONS, "load_core": load_core,
        "shared": shared, "installation": installation,
    })  # fmt: skip


def make_cases(models: Mapping[str, Path], folder: Path, python: str) -> Iterator[Case]:
    """Yield the cases; the repositories of several models are written to `folder`."""
    for count in MODELS:
        repository = folder / f"{count}-models"
        goldens = [Golden.of(path) for path in multiply(models["tabular"], count, repository)]
        environment = {"SNOOZE_MODELS": str(repository)}
        requests = [snooze(golden, python).with_environment(environment) for golden in goldens]
        yield Case(f"{count} models, tabular JSON" if count > 1 else "1 model, tabular JSON", goldens[0], requests)
    for binary in (False, True):
        for rows in ROWS:
            row = Row(Golden.of(models["mlp"], rows), rows, binary)
            yield Case(row.name, row.golden, [snooze(row.golden, python, binary)], rows)
    for name, rows, binary in (("tabular", 1, False), ("convnet", 32, True)):
        row = Row(Golden.of(models[name], rows), rows, binary)
        for cores in (1, 2):
            server = snooze(row.golden, python, binary)
            yield Case(f"{cores} core{'s' * (cores > 1)}, {row.name}", row.golden, [server], rows, cores)


def multiply(path: Path, count: int, repository: Path) -> list[Path]:
    """Publish copies of the newest version of a model under `count` names in `repository`, and return their folders."""
    golden = Golden.of(path)
    bundle = read(golden.folder)
    folders = []
    for number in range(1, count + 1):
        with Draft(repository, f"{bundle.name}-{number}") as draft:
            for file in bundle.files:
                shutil.copyfile(golden.folder / file, draft.folder / file)
            folders.append(draft.publish(bundle))
    return folders


def measure(case: Case, cores: Sequence[int], load_core: int, seconds: float, requests: int) -> Outcome:
    """Start the server of a case on `cores`, send it so many requests, and load it from `load_core`."""
    with running(case.requests[0], case.golden, cores) as server, wrk.script(case.requests) as script:
        time.sleep(SETTLE_SECONDS)
        started = Memory.of(server.pid)
        send_all(server, case.requests, requests)
        settled = Memory.of(server.pid)
        load = wrk.run(server, script, CONNECTIONS, seconds, load_core)
        return Outcome(server.wall_seconds * 1e3, server.cpu_seconds * 1e3, started, settled, load)


def summarize(
    cases: Sequence[Case],
    outcomes: Mapping[str, Sequence[Outcome]],
    python: str,
    warnings: Sequence[str],
    method: Mapping[str, Any],
) -> Results:
    """Return the table: a line for each case."""
    figures, lines = {}, []
    for case in cases:
        own = outcomes[case.name]
        figures[case.name] = {
            "wall_ms": [one.wall_ms for one in own],
            "cpu_ms": [one.cpu_ms for one in own],
            "started_mib": own[0].started._asdict(),
            "settled_mib": own[0].settled._asdict(),
            "loads": [one.load._asdict() for one in own],
        }
        lines.append([case.name, *_describe(case, own)])
    columns = ["case", "start ms", "start CPU ms", *MEMORY_COLUMNS, "req/s", "rows/s", "CPU us", "p50 / p99 ms"]
    saturated = wrk.warn({case.name: [one.load for one in outcomes[case.name]] for case in cases})
    return Results(
        "What growth costs",
        METHOD.format(**method),
        describe(python),
        figures,
        columns,
        lines,
        [*warnings, *saturated],
    )


def _describe(case: Case, own: Sequence[Outcome]) -> list[str]:
    rps = median(one.load.rps for one in own)
    return [
        str(Quartiles.of([one.wall_ms for one in own])),
        str(Quartiles.of([one.cpu_ms for one in own])),
        *(f"{memory.pss:.1f} ({memory.anonymous:.1f})" for memory in (own[0].started, own[0].settled)),
        f"{rps:.0f}",
        f"{rps * case.rows:.0f}",
        f"{median(one.load.cpu_us for one in own):.0f}",
        f"{median(one.load.p50_ms for one in own):.2f} / {median(one.load.p99_ms for one in own):.2f}",
    ]

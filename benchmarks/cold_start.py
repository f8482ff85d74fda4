"""
The time from spawn to the first right answer, beside other servers.

Wall time by the clock of the process that spawns and asks; CPU time of the whole process with its threads, read from
the kernel when the answer is complete; PSS a third of a second later. The servers take turns, so that a change of the
machine's speed affects all of them. One round before the first is not counted: it fills the page cache.
"""

import re
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from snooze.benchmarks.comparison import Quartiles, Results
from snooze.benchmarks.machine import describe, other_work
from snooze.benchmarks.meters import Memory
from snooze.benchmarks.peers.candidates import Candidate, Golden, Servers
from snooze.benchmarks.peers.servers import connect, running
from snooze.benchmarks.progress import show

SETTLE_SECONDS: Final = 0.3
FIGURES: Final = ("wall_ms", "cpu_ms", "pss_mib", "anonymous_mib")
PHASE: Final = re.compile(
    r'snooze_cold_start_seconds\{phase="(?P<phase>\w+)",clock="(?P<clock>\w+)"\} (?P<seconds>[\d.e+-]+)'
)
METHOD: Final = (
    "Spawn to the first complete HTTP answer that equals the bundle's golden output within its tolerance. CPU is user "
    "and system time of the whole process by then. Warm page cache, {runs} runs of each server in turn, median "
    "(quartiles). Same model file; {installation}. PSS depends on sharing: the process that measures "
    "maps the same interpreter and numpy, so a server alone on its machine shows a few MiB more. The shares of the CPU "
    "time are medians (quartiles) of the quotients of each turn."
)


class ColdStart(NamedTuple):
    """A start of a server. `phases` are milliseconds by phase and clock, as the server counts them; empty without."""

    server: str
    wall_ms: float
    cpu_ms: float
    pss_mib: float
    anonymous_mib: float
    phases: Mapping[str, float]


def run(bundle: Path, servers: Servers, runs: int) -> Results:
    """Start each server `runs` times and return the results; a SnoozeError names the server that failed."""
    golden = Golden.of(bundle)
    installation, warnings = servers.describe(), other_work()
    starts = compare(servers.candidates(golden), golden, runs)
    return summarize(starts, runs, installation, servers.python)._replace(warnings=warnings)


def measure(bundle: Path, runs: int = 20) -> ColdStart:
    """Start a Snooze server `runs` times with the bundle and return the medians."""
    golden = Golden.of(bundle)
    starts = compare(Servers.of("snooze").candidates(golden), golden, runs)
    figures = {name: median(getattr(one, name) for one in starts) for name in FIGURES}
    return starts[0]._replace(**figures, phases=_phases(starts))


def compare(candidates: Sequence[Candidate], golden: Golden, runs: int) -> list[ColdStart]:
    """Start each candidate `runs` times, in turn."""
    for candidate in candidates:
        start_once(candidate, golden)
    found = []
    for turn in range(runs):
        show(f"cold start {turn + 1} of {runs}")
        found += [start_once(candidate, golden) for candidate in candidates]
    show("")
    return found


def start_once(candidate: Candidate, golden: Golden) -> ColdStart:
    """Start a server, send one request, read its memory, and end it."""
    with running(candidate, golden) as server:
        time.sleep(SETTLE_SECONDS)
        memory = Memory.of(server.pid)
        return ColdStart(
            candidate.name,
            server.wall_seconds * 1000,
            server.cpu_seconds * 1000,
            memory.pss,
            memory.anonymous,
            read_phases(server.port),
        )


def read_phases(port: int) -> dict[str, float]:
    """Return the phases in `snooze_cold_start_seconds` of a server's /metrics, by clock, in ms; empty without them."""
    connection = connect(port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode("utf-8", "replace").splitlines()
    connection.close()
    found = (PHASE.fullmatch(line) for line in lines)
    return {f"{one['phase']} {one['clock']}": float(one["seconds"]) * 1000 for one in found if one}


def summarize(starts: Sequence[ColdStart], runs: int, installation: str, python: str = sys.executable) -> Results:
    """Return medians and quartiles by server, and their shares of the CPU time of the last one."""
    by_server: dict[str, list[ColdStart]] = defaultdict(list)
    for start in starts:
        by_server[start.server].append(start)
    *_, last = by_server
    figures: dict[str, Any] = {}
    rows = []
    for server, own in by_server.items():
        measured = {name: Quartiles.of([getattr(one, name) for one in own]) for name in FIGURES}
        phases = _phases(own)
        share = Quartiles.of([one.cpu_ms / other.cpu_ms for one, other in zip(own, by_server[last], strict=True)])
        figures[server] = {name: quartiles._asdict() for name, quartiles in measured.items()}
        figures[server] |= {"phases_ms": phases, "cpu_share": share._asdict(), "runs": [one._asdict() for one in own]}
        shown = "{:.2f} ({:.2f}-{:.2f})".format(*share)
        rows.append([server, *map(str, measured.values()), shown, _describe_phases(phases)])
    return Results(
        "Cold start: spawn to first right answer",
        METHOD.format(runs=runs, installation=installation),
        describe(python),
        figures,
        ["server", "wall ms", "CPU ms", "PSS MiB", "anonymous MiB", f"CPU / {last}", "its own phases, wall (CPU) ms"],
        rows,
    )


def _phases(starts: Sequence[ColdStart]) -> dict[str, float]:
    return {name: median(one.phases[name] for one in starts) for name in starts[0].phases}


def _describe_phases(phases: Mapping[str, float]) -> str:
    names = [name.removesuffix(" wall") for name in phases if name.endswith(" wall")]
    return ", ".join(f"{name} {phases[f'{name} wall']:.0f} ({phases[f'{name} cpu']:.0f})" for name in names) or "-"

"""
From spawn to the first right answer: `python -m snooze.benchmarks.cold_start --bundle models/tumour`.

Wall time by the clock of the process that spawns and asks; CPU time of the whole process with its threads, read from
the kernel when the answer is complete; PSS a third of a second later. The servers take turns, so that a change of the
machine's mood touches all of them. One round before the first is not counted: it fills the page cache.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from snooze.benchmarks.comparison import Middle, Results
from snooze.benchmarks.errors import BenchmarkError, InvalidOption
from snooze.benchmarks.load.report import MIB
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import KNOWN, Candidate, Golden, choose
from snooze.benchmarks.peers.servers import running
from snooze.benchmarks.progress import show
from snooze.bundle.errors import BundleError

SETTLE_SECONDS: Final = 0.3
PACKAGES: Final = (
    "snooze",
    "numpy",
    "onnxruntime",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "fastapi",
    "pydantic",
)
METHOD: Final = (
    "Spawn to the first complete HTTP answer that equals the bundle's golden output within its tolerance. CPU is user "
    "and system time of the whole process by then. Warm page cache, {runs} runs of each server in turn, median "
    "(quartiles). Same Python and model file. PSS is proportional to sharing: the process that measures maps the same "
    "interpreter and numpy, so a server alone on its machine shows a few MiB more."
)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start of a server. `phases` is where the server itself says that the time (ms) went; empty if it does not."""

    server: str
    wall_ms: float
    cpu_ms: float
    pss_mib: float
    phases: Mapping[str, float]


def measure(bundle: Path, runs: int = 20) -> ColdStart:
    """
    Start our server `runs` times with the bundle and return the medians.

    Raises:
        BenchmarkError, BundleError: it did not start, or its first answer was wrong.
    """
    golden = Golden.of(bundle)
    starts = compare(choose("snooze", golden), golden, runs)
    wall, cpu, pss = (median(getattr(one, name) for one in starts) for name in ("wall_ms", "cpu_ms", "pss_mib"))
    return ColdStart(starts[0].server, wall, cpu, pss, _phases(starts))


def compare(candidates: Sequence[Candidate], golden: Golden, runs: int) -> list[ColdStart]:
    """
    Start each candidate `runs` times, in turn.

    Raises:
        StartFailed, WrongAnswer: names the server; a race with a cheat or a corpse proves nothing.
    """
    if runs < 1:
        raise InvalidOption("--runs", runs, "1 or more")
    for candidate in candidates:
        once(candidate, golden)
    found = []
    for turn in range(runs):
        show(f"cold start {turn + 1} of {runs}")
        found += [once(candidate, golden) for candidate in candidates]
    show("")
    return found


def once(candidate: Candidate, golden: Golden) -> ColdStart:
    """Start one server, ask it once, look at its memory, and end it."""
    with running(candidate, golden) as server:
        time.sleep(SETTLE_SECONDS)
        return ColdStart(
            candidate.name,
            server.first.wall_seconds * 1000,
            server.first.cpu_seconds * 1000,
            Tree(server.pid).pss_bytes() / MIB,
            server_timing(server.first.headers.get("server-timing", "")),
        )


def server_timing(header: str) -> dict[str, float]:
    """Return the durations of a `Server-Timing` header (W3C), in milliseconds; what has no duration is left out."""
    phases = {}
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "dur":
                try:
                    phases[name] = float(value.strip().strip('"'))
                except ValueError:
                    continue
    return phases


def results(starts: Sequence[ColdStart], runs: int) -> Results:
    """Return medians and spread by server, with the ratio of the median CPU to that of the first server."""
    by_server: dict[str, list[ColdStart]] = defaultdict(list)
    for start in starts:
        by_server[start.server].append(start)
    figures: dict[str, Any] = {}
    rows = []
    for server, own in by_server.items():
        wall, cpu, pss = (Middle.of([getattr(one, name) for one in own]) for name in ("wall_ms", "cpu_ms", "pss_mib"))
        phases = _phases(own)
        figures[server] = {"wall_ms": asdict(wall), "cpu_ms": asdict(cpu), "pss_mib": asdict(pss), "phases_ms": phases}
        figures[server]["runs"] = [asdict(one) for one in own]
        where = ", ".join(f"{name} {spent:.0f}" for name, spent in phases.items()) or "-"
        rows.append([server, str(wall), str(cpu), str(pss), where])
    return Results(
        "Cold start: spawn to first right answer",
        METHOD.format(runs=runs),
        describe(PACKAGES),
        figures,
        ["server", "wall ms", "CPU ms", "PSS MiB", "where its wall ms go, by its own account"],
        rows,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the results where `--output` says."""
    parser = argparse.ArgumentParser(prog="python -m snooze.benchmarks.cold_start", description=__doc__)
    parser.add_argument(
        "--bundle", type=Path, required=True, metavar="PATH", help="a bundle; the peers need a tabular model"
    )
    parser.add_argument("-n", "--runs", type=int, default=20, metavar="N", help="starts of each server (20)")
    parser.add_argument("--servers", default="snooze,fastapi", help=f"out of {','.join(KNOWN)}")
    parser.add_argument("--output", type=Path, metavar="STEM", help="write STEM.json and STEM.md")
    arguments = parser.parse_args(argv)
    try:
        golden = Golden.of(arguments.bundle)
        found = results(compare(choose(arguments.servers, golden), golden, arguments.runs), arguments.runs)
        if arguments.output:
            found.write(arguments.output)
    except (BenchmarkError, BundleError) as error:
        print(f"snooze: {error}", file=sys.stderr)
        return 2
    print(found.as_markdown())
    return 0


def _phases(starts: Sequence[ColdStart]) -> dict[str, float]:
    return {name: median(one.phases[name] for one in starts) for name in starts[0].phases}


if __name__ == "__main__":
    sys.exit(main())

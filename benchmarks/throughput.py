"""
Requests per second on one core, beside the peers and the limit: `python -m snooze.benchmarks.throughput --bundle PATH`.

wrk, a load generator in C, keeps 1, 8 and 64 connections busy in turn; the best counts. The server has one core to
itself and wrk another. The servers take turns for several rounds, and the best round of each counts: what else the
machine does can only take away. The limit of every server on uvicorn is 1 / (1 / requests per second of bare uvicorn
reading the same body + time of `session.run`).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from snooze.benchmarks.cold_start import PACKAGES
from snooze.benchmarks.comparison import Results
from snooze.benchmarks.errors import BenchmarkError, InvalidOption, MissingTool, NotMeasurable, WrongAnswer
from snooze.benchmarks.load.report import MIB
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import ENVIRONMENT, KNOWN, PEERS, Candidate, Golden, choose
from snooze.benchmarks.peers.servers import Running, ask, connect, running
from snooze.benchmarks.progress import show
from snooze.bundle.errors import BundleError

CONNECTIONS: Final = (1, 8, 64)
MEMORY: Final = {"pss_mib": "PSS MiB", "rss_mib": "peak RSS MiB", "anonymous_mib": "anonymous MiB"}
WARM_REQUESTS: Final = 1000
WARM_UP_SECONDS: Final = 1
METHOD: Final = (
    "One server at a time on core {server_core}, wrk ({wrk} s, 1 thread) on core {load_core}; the best of {rounds} "
    "rounds in turn, and of {connections} connections. One golden row as JSON, checked once; any answer but 200 stops "
    "the run. Memory is after 1,000 requests, before wrk. limit = 1 / (1 / bare + session.run), with session.run "
    "{run_us:.1f} us on the server's core: {limit:.0f} requests/s."
)


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one server did: requests per second by number of connections, and its memory after 1,000 requests."""

    server: str
    rps: dict[int, float]
    pss_mib: float
    rss_mib: float
    anonymous_mib: float

    @property
    def best(self) -> float:
        """The most requests per second over the numbers of connections."""
        return max(self.rps.values())


def measure(candidate: Candidate, golden: Golden, seconds: int, cores: tuple[int, int]) -> Throughput:
    """
    Measure one server on `cores[0]`, loaded from `cores[1]`.

    Raises:
        WrongAnswer: it gave another answer than 200, or none, under load.
    """
    server_core, load_core = cores
    with running(candidate, golden, server_core) as server, tempfile.TemporaryDirectory() as folder:
        _warm(server)
        tree = Tree(server.pid)
        memory = [figure / MIB for figure in (tree.pss_bytes(), tree.peak_bytes(), tree.anonymous_bytes())]
        script = Path(folder, "request.lua")
        script.write_bytes(lua(candidate))
        wrk(server, script, max(CONNECTIONS), WARM_UP_SECONDS, load_core)
        rps = {count: wrk(server, script, count, seconds, load_core) for count in CONNECTIONS}
        return Throughput(candidate.name, rps, *memory)


def wrk(server: Running, script: Path, connections: int, seconds: int, core: int) -> float:
    """Return the requests per second that wrk reaches with so many connections."""
    show(f"{server.candidate.name}, {connections} connections")
    url = f"http://127.0.0.1:{server.port}{server.candidate.path}"
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    process = subprocess.Popen(["wrk", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    return requests_per_second(server.candidate.name, output)


def requests_per_second(server: str, output: str) -> float:
    """
    Return the rate that wrk's output states.

    Raises:
        WrongAnswer: some requests were not answered by 200.
    """
    bad = re.search(r"Non-2xx or 3xx responses: .*|Socket errors: .*", output)
    if bad:
        raise WrongAnswer(server, f"under load: {bad.group()}")
    rate = re.search(r"Requests/sec: +([\d.]+)", output)
    if rate is None:
        raise WrongAnswer(server, f"wrk says: {output.strip()[-200:]}")
    return float(rate.group(1))


def lua(candidate: Candidate) -> bytes:
    """Return the script that makes wrk send the candidate's request. Every byte is escaped: any body is safe in it."""
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in candidate.payload.headers.items())
    body = "".join(f"\\{byte:03d}" for byte in candidate.payload.body)
    return f'wrk.method = "POST"\n{headers}wrk.body = "{body}"\n'.encode()


def session_run_seconds(golden: Golden, core: int) -> float:
    """Return the median seconds of one run of the golden row, in a process of its own on `core`."""
    command = [sys.executable, str(PEERS / "session_run.py"), str(golden.folder)]
    environment = os.environ | ENVIRONMENT
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    if process.returncode:
        raise NotMeasurable("session.run", "the process that measures it failed, see above")
    return float(output)


def best(rounds: Sequence[Throughput]) -> Throughput:
    """Return the best rate of one server's rounds for each number of connections, and the median of its memory."""
    rates = {count: max(one.rps[count] for one in rounds) for count in rounds[0].rps}
    memory = (median(getattr(one, name) for one in rounds) for name in MEMORY)
    return Throughput(rounds[0].server, rates, *memory)


def results(
    found: Sequence[Throughput], run_seconds: float, seconds: int, rounds: int, cores: tuple[int, int]
) -> Results:
    """Return the table. The share of the limit needs bare uvicorn among the servers."""
    bare = next((one.best for one in found if one.server == "bare uvicorn"), None)
    limit = None if bare is None else 1 / (1 / bare + run_seconds)
    figures: dict[str, Any] = {"session_run_seconds": run_seconds, "limit_rps": limit, "servers": {}}
    rows = []
    for one in found:
        share = None if limit is None or one.server == "bare uvicorn" else one.best / limit
        figures["servers"][one.server] = asdict(one) | {"best_rps": one.best, "of_limit": share}
        rates = [f"{one.rps[count]:.0f}" for count in CONNECTIONS]
        of_limit = "-" if share is None else f"{share:.0%}"
        memory = [f"{getattr(one, name):.1f}" for name in MEMORY]
        rows.append([one.server, *rates, f"**{one.best:.0f}**", of_limit, *memory])
    method = METHOD.format(
        server_core=cores[0],
        load_core=cores[1],
        wrk=seconds,
        rounds=rounds,
        connections=", ".join(map(str, CONNECTIONS)),
        run_us=run_seconds * 1e6,
        limit=limit or float("nan"),
    )
    columns = ["server", *(f"{count} conn." for count in CONNECTIONS), "best", "of limit", *MEMORY.values()]
    return Results("Requests per second on one core", method, describe(PACKAGES), figures, columns, rows)


def two_cores() -> tuple[int, int]:
    """
    Return the core for the server and the one for the load.

    Raises:
        NotMeasurable: there is only one, and a load on the server's own core would measure their quarrel.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise NotMeasurable("throughput", "it takes two cores, one for the server and one for the load")
    return cores[0], cores[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the results where `--output` says."""
    parser = argparse.ArgumentParser(prog="python -m snooze.benchmarks.throughput", description=__doc__)
    parser.add_argument(
        "--bundle", type=Path, required=True, metavar="PATH", help="a bundle; the peers need a tabular model"
    )
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="length of each wrk run (5)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times each server has its turn (3)")
    parser.add_argument("--servers", default="snooze,fastapi,fastapi-tuned,bare", help=f"out of {','.join(KNOWN)}")
    parser.add_argument("--output", type=Path, metavar="STEM", help="write STEM.json and STEM.md")
    arguments = parser.parse_args(argv)
    try:
        found = _measure_all(arguments)
        if arguments.output:
            found.write(arguments.output)
    except (BenchmarkError, BundleError) as error:
        print(f"snooze: {error}", file=sys.stderr)
        return 2
    print(found.as_markdown())
    return 0


def _measure_all(arguments: argparse.Namespace) -> Results:
    if shutil.which("wrk") is None:
        raise MissingTool("wrk", "apt-get install wrk")
    for name in ("seconds", "rounds"):
        if getattr(arguments, name) < 1:
            raise InvalidOption(f"--{name}", getattr(arguments, name), "1 or more")
    cores = two_cores()
    golden = Golden.of(arguments.bundle)
    candidates = choose(arguments.servers, golden)
    rounds: dict[str, list[Throughput]] = {candidate.name: [] for candidate in candidates}
    runs = []
    for _ in range(arguments.rounds):
        runs.append(session_run_seconds(golden, cores[0]))
        for candidate in candidates:
            rounds[candidate.name].append(measure(candidate, golden, arguments.seconds, cores))
    show("")
    return results([best(own) for own in rounds.values()], min(runs), arguments.seconds, arguments.rounds, cores)


def _warm(server: Running) -> None:
    connection = connect(server.port)
    for _ in range(WARM_REQUESTS):
        response = ask(connection, server.candidate)
        response.read()
        if response.status != 200:
            raise WrongAnswer(server.candidate.name, f"status {response.status}")
    connection.close()


if __name__ == "__main__":
    sys.exit(main())

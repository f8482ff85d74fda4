"""
Requests per second on one core, beside other servers and the limit.

wrk, a load generator in C, keeps 1, 8 and 64 connections busy in turn; the best counts. The server has one core to
itself and wrk another. The servers take turns for several rounds, and the best round of each counts: other work on the
machine can only slow a server down. The limit of every server on uvicorn is 1 / (1 / requests per second of bare
uvicorn that reads the same body + time of `session.run`).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from snooze.benchmarks.cold_start import PACKAGES
from snooze.benchmarks.comparison import Results
from snooze.benchmarks.errors import MissingProgram, NotMeasurable, WrongAnswer
from snooze.benchmarks.load.report import MIB
from snooze.benchmarks.machine import describe, two_cores
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import ENVIRONMENT, PEERS, Candidate, Golden, choose, describe_installation
from snooze.benchmarks.peers.servers import Running, connect, running, send
from snooze.benchmarks.progress import show

CONNECTIONS: Final = (1, 8, 64)
MEMORY: Final = {"pss_mib": "PSS MiB", "rss_mib": "peak RSS MiB", "anonymous_mib": "anonymous MiB"}
WARM_UP_REQUESTS: Final = 1000
WARM_UP_SECONDS: Final = 1.0
BARE: Final = "bare uvicorn"
METHOD: Final = (
    "One server at a time on core {server_core}, wrk ({seconds:g} s, 1 thread) on core {load_core}; the best of "
    "{rounds} rounds in turn, and of {connections} connections. One golden row as JSON, checked once; any answer but "
    "200 stops the run; {installation}. Memory is after 1,000 requests, before wrk. "
    "limit = 1 / (1 / bare + session.run), with session.run {run_us:.1f} us on the server's core: "
    "{limit:.0f} requests/s."
)


class Throughput(NamedTuple):
    """Requests per second of one server by number of connections, and its memory after 1,000 requests."""

    server: str
    rps: dict[int, float]
    pss_mib: float
    rss_mib: float
    anonymous_mib: float

    @property
    def best(self) -> float:
        """The most requests per second over the numbers of connections."""
        return max(self.rps.values())


def run(bundle: Path, servers: str, seconds: float, rounds: int, python: str = sys.executable) -> Results:
    """Measure each server for some rounds and return the results; a SnoozeError names what failed or is missing."""
    if shutil.which("wrk") is None:
        raise MissingProgram("wrk", "apt-get install wrk")
    cores = two_cores()
    golden = Golden.of(bundle)
    candidates = choose(servers, golden, python)
    found: dict[str, list[Throughput]] = {candidate.name: [] for candidate in candidates}
    runs = []
    for _ in range(rounds):
        runs.append(session_run_seconds(golden, cores[0], python))
        for candidate in candidates:
            found[candidate.name].append(measure(candidate, golden, seconds, cores))
    show("")
    return summarize([best(own) for own in found.values()], min(runs), {
        "server_core": cores[0], "load_core": cores[1], "seconds": seconds, "rounds": rounds,
        "installation": describe_installation(python),
    })  # fmt: skip


def measure(candidate: Candidate, golden: Golden, seconds: float, cores: tuple[int, int]) -> Throughput:
    """Measure one server on `cores[0]`, loaded from `cores[1]`."""
    server_core, load_core = cores
    with running(candidate, golden, server_core) as server, tempfile.TemporaryDirectory() as folder:
        _warm_up(server)
        tree = Tree(server.pid)
        memory = [
            size / MIB for size in (tree.rollup_bytes("Pss:"), tree.peak_bytes(), tree.rollup_bytes("Anonymous:"))
        ]
        script = Path(folder, "request.lua")
        script.write_bytes(lua(candidate))
        wrk(server, script, max(CONNECTIONS), WARM_UP_SECONDS, load_core)
        rps = {count: wrk(server, script, count, seconds, load_core) for count in CONNECTIONS}
        return Throughput(candidate.name, rps, *memory)


def wrk(server: Running, script: Path, connections: int, seconds: float, core: int) -> float:
    """Return the requests per second that wrk reaches with so many connections."""
    show(f"{server.candidate.name}, {connections} connections")
    url = f"http://127.0.0.1:{server.port}{server.candidate.path}"
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
    process = subprocess.Popen(["wrk", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    return parse_rate(server.candidate.name, output)


def parse_rate(server: str, output: str) -> float:
    """Return the requests per second in wrk's output, or raise WrongAnswer if not all answers were 200."""
    bad = re.search(r"Non-2xx or 3xx responses: .*|Socket errors: .*", output)
    if bad:
        raise WrongAnswer(server, f"under load: {bad.group()}")
    rate = re.search(r"Requests/sec: +([\d.]+)", output)
    if rate is None:
        raise WrongAnswer(server, f"wrk printed: {output.strip()[-200:]}")
    return float(rate.group(1))


def lua(candidate: Candidate) -> bytes:
    """Return the script that makes wrk send the candidate's request, with every byte of the body escaped."""
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in candidate.payload.headers.items())
    body = "".join(f"\\{byte:03d}" for byte in candidate.payload.body)
    return f'wrk.method = "POST"\n{headers}wrk.body = "{body}"\n'.encode()


def session_run_seconds(golden: Golden, core: int, python: str = sys.executable) -> float:
    """Return the median seconds of one run of the golden row, in a process of its own on `core`."""
    command = [python, str(PEERS / "session_run.py"), str(golden.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT) as process:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    if process.returncode:
        raise NotMeasurable("session.run", "the process that measures it failed, see above")
    return float(output)


def best(rounds: Sequence[Throughput]) -> Throughput:
    """Return the best rate of a server's rounds for each number of connections, and the median of its memory."""
    rates = {count: max(one.rps[count] for one in rounds) for count in rounds[0].rps}
    memory = (median(getattr(one, name) for one in rounds) for name in MEMORY)
    return Throughput(rounds[0].server, rates, *memory)


def summarize(found: Sequence[Throughput], run_seconds: float, method: dict[str, Any]) -> Results:
    """Return the table. The share of the limit needs bare uvicorn among the servers."""
    bare = next((one.best for one in found if one.server == BARE), None)
    limit = None if bare is None else 1 / (1 / bare + run_seconds)
    figures: dict[str, Any] = {"session_run_seconds": run_seconds, "limit_rps": limit, "servers": {}}
    rows = []
    for one in found:
        share = None if limit is None or one.server == BARE else one.best / limit
        figures["servers"][one.server] = one._asdict() | {"best_rps": one.best, "of_limit": share}
        rates = [f"{one.rps[count]:.0f}" for count in CONNECTIONS]
        memory = [f"{getattr(one, name):.1f}" for name in MEMORY]
        rows.append([one.server, *rates, f"**{one.best:.0f}**", "-" if share is None else f"{share:.0%}", *memory])
    connections = ", ".join(map(str, CONNECTIONS))
    text = METHOD.format(connections=connections, run_us=run_seconds * 1e6, limit=limit or float("nan"), **method)
    columns = ["server", *(f"{count} conn." for count in CONNECTIONS), "best", "of limit", *MEMORY.values()]
    return Results("Requests per second on one core", text, describe(PACKAGES), figures, columns, rows)


def _warm_up(server: Running) -> None:
    connection = connect(server.port)
    for _ in range(WARM_UP_REQUESTS):
        response = send(connection, server.candidate)
        response.read()
        if response.status != 200:
            raise WrongAnswer(server.candidate.name, f"status {response.status}")
    connection.close()

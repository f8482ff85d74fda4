"""wrk, a load generator in C (https://github.com/wg/wrk): a closed loop of some connections against a server."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from snooze.benchmarks.errors import MissingProgram, WrongAnswer
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import Candidate
from snooze.benchmarks.peers.servers import Running

TIMEOUT: Final = "30s"
SATURATED: Final = 0.9  # of a core
HOLD_SECONDS: Final = 0.002  # for each connection
RESULT: Final = "RESULT "
# libuv accepts one connection in each turn of its loop. If requests came meanwhile, each turn would take longer than
# the one before, and the last of 64 connections would wait for a second: the first request waits until all are open.
SCRIPT: Final = """\
local ffi = require("ffi")
ffi.cdef("int usleep(unsigned int microseconds);")
local given, requests, calls, hold = {}, {}, 0, 0
function add(path, headers, body)
  given[#given + 1] = {path, headers, body}
end
function init(arguments)  -- only now the Host is known
  hold = tonumber(arguments[1]) * 1e6
  for index, one in ipairs(given) do
    requests[index] = wrk.format("POST", unpack(one))
  end
end
function request()
  calls = calls + 1
  if calls == 2 then  -- wrk makes the first call before it opens the connections
    ffi.C.usleep(hold)
  end
  return requests[calls % #requests + 1]
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  local figures = {summary.requests, summary.duration / 1e6, p50, p99, errors.status, failed}
  io.write("RESULT ", table.concat(figures, " "), "\\n")
end
"""


class Load(NamedTuple):
    """Requests per second, latencies, and the CPU that wrk itself and the server used, in cores."""

    rps: float
    p50_ms: float
    p99_ms: float
    wrk_cores: float
    server_cores: float

    @property
    def cpu_us(self) -> float:
        """The CPU of the server for one request, in microseconds: other work on its core hardly changes it."""
        return self.server_cores / self.rps * 1e6


def require() -> None:
    """Raise MissingProgram if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise MissingProgram("wrk", "apt-get install wrk")


@contextmanager
def script(candidates: Sequence[Candidate]) -> Iterator[Path]:
    """Yield a file with the script that makes wrk send the requests of the candidates in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requests.lua")
        path.write_bytes(lua(candidates))
        yield path


def run(server: Running, requests: Path, connections: int, seconds: float, core: int) -> Load:
    """Return what wrk on `core` reaches with so many connections; WrongAnswer if not all answers were 200."""
    seconds = max(1, round(seconds))
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", TIMEOUT, "-s", str(requests)]
    hold = HOLD_SECONDS * connections
    command = ["wrk", *options, f"http://127.0.0.1:{server.port}", "--", str(hold)]
    tree = Tree(server.pid)
    before = _children_cpu_seconds(), tree.cpu_seconds()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        os.sched_setaffinity(process.pid, {core})
        output, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    after = _children_cpu_seconds(), tree.cpu_seconds()
    return parse(server.candidate.name, output, hold, after[0] - before[0], after[1] - before[1])


def parse(server: str, output: str, hold: float, wrk_seconds: float, server_seconds: float) -> Load:
    """
    Return the figures that `done` of the script printed, or raise WrongAnswer if not all answers were 200.

    `hold` is how many seconds passed before the first request, `wrk_seconds` and `server_seconds` the CPU of both.
    """
    line = next((line for line in output.splitlines() if line.startswith(RESULT)), None)
    if line is None:
        raise WrongAnswer(server, f"wrk printed: {output.strip()[-200:]}")
    requests, seconds, p50_ms, p99_ms, other, failed = map(float, line.split()[1:])
    if not requests:
        raise WrongAnswer(server, f"under load: no answer within {seconds:.1f} s")
    if other or failed:
        problem = f"{other:.0f} of {requests:.0f} answers are not 200, and {failed:.0f} connections failed"
        raise WrongAnswer(server, f"under load: {problem}")
    seconds -= hold
    return Load(requests / seconds, p50_ms, p99_ms, wrk_seconds / seconds, server_seconds / seconds)


def warn(loads: Mapping[str, Sequence[Load]]) -> list[str]:
    """Return a warning that names those whose load was bound by wrk, if there are any."""
    names = [name for name, own in loads.items() if any(load.wrk_cores > SATURATED for load in own)]
    return [f"wrk used all of its core for {', '.join(names)}: these may be faster than stated."] if names else []


def lua(candidates: Sequence[Candidate]) -> bytes:
    """Return the script of `script`, with every byte of a body escaped."""
    lines = [SCRIPT]
    for candidate in candidates:
        headers = ", ".join(f'["{name}"] = "{value}"' for name, value in candidate.payload.headers.items())
        body = "".join(f"\\{byte:03d}" for byte in candidate.payload.body)
        lines.append(f'add("{candidate.path}", {{{headers}}}, "{body}")')
    return "\n".join(lines).encode()


def _children_cpu_seconds() -> float:
    """Return the CPU seconds of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

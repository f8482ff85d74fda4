"""
Measure the constants of `calibration.py`: `python -m snooze.benchmarks.sizing MODELS --rounds 3`.

MODELS is a repository whose bundles were converted on this machine, better of several widths and run times. The server
runs on one core and `snooze bench load`, which arrives at random, on another. Each round loads every model at every
rate. Prints what was measured, the constants that fit it best, and how far predictions made with them are off: each
model is predicted with constants that were fitted to the others.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import Profile, read_profile
from snooze.bundle.store import find, read
from snooze.knative.sizing import cost
from snooze.knative.sizing.calibration import Calibration, Deviation
from snooze.knative.sizing.prediction import predict

RATES: Final = (20.0, 100.0, 500.0, 2000.0)
ROWS: Final = (1, 16)
MOST_UTILIZATION: Final = 0.7  # what is sized for; above it, chance decides
COOLING_SECONDS: Final = np.geomspace(2e-4, 5e-2, 60)
FIGURES: Final = ("p50_seconds", "p99_seconds", "cpu_cores", "peak_bytes")
START_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Load:
    """What one load showed: times and CPU of a request in seconds, the server's highest resident memory in bytes."""

    bundle: Bundle
    rows: int
    rps: float
    p50_seconds: float
    p99_seconds: float
    cpu_seconds: float
    peak_bytes: float

    @property
    def profile(self) -> Profile:
        return read_profile(self.bundle)

    @property
    def values(self) -> int:
        return self.rows * (cost.count_values(self.bundle.inputs) + cost.count_values(self.bundle.outputs))


def measure(models: Path, rounds: int, seconds: float) -> list[Load]:
    """Return what every model of a repository shows at every rate that it can bear, over all rounds."""
    folders = [found.folder for found in find(models)]
    taken: dict[tuple[Path, int, float], list[Load]] = {}
    for number in range(rounds):
        for folder in folders:
            for rows, rps in _bearable(read(folder)):
                load = _measure_one(folder, rows, rps, seconds)
                if load is None:
                    print(f"round {number + 1}: {folder} does not bear {rps:g}/s of {rows} rows", file=sys.stderr)
                    continue
                taken.setdefault((folder, rows, rps), []).append(load)
                print(f"round {number + 1}: {_line(load)}", file=sys.stderr)
    return [_summary(loads) for loads in taken.values()]


def fit(loads: Sequence[Load], interpreter_seconds: float) -> Calibration:
    """
    Return the constants that explain the CPU seconds of the loads best, each load weighing the same.

    For each time of cooling the others are linear, and none may be negative: non-negative least squares, by leaving
    out what would be.
    """
    best: tuple[float, NDArray[np.float64], float] | None = None
    runs = np.array([cost.run_of(load.profile, load.rows).cpu_seconds for load in loads])
    measured = np.array([load.cpu_seconds for load in loads])
    values = np.array([load.values for load in loads])
    sizes = np.array([load.profile.model_bytes for load in loads])
    for cooling in COOLING_SECONDS:
        cold = np.array([1 / (1 + load.rps * cooling) for load in loads])
        terms = np.column_stack([np.ones(len(loads)), values, cold, cold * sizes])
        solution = _non_negative(terms / measured[:, None], (measured - runs) / measured)
        residual = float(np.sum(((terms @ solution + runs) / measured - 1) ** 2))
        if best is None or residual < best[0]:
            best = residual, solution, float(cooling)
    assert best is not None
    _, (request, value, cold_request, cold_byte), cooling = best
    fitted = Calibration(
        interpreter_seconds=interpreter_seconds,
        request_seconds=float(request),
        value_seconds=float(value),
        cold_seconds=float(cold_request),
        cold_byte_seconds=float(cold_byte),
        cooling_seconds=cooling,
        path_seconds=0.0,
        server_bytes=0,
    )
    predicted = [predict(load.bundle, load.profile, load.rps, load.rows, fitted) for load in loads]
    pairs = list(zip(loads, predicted, strict=True))
    return replace(
        fitted,
        path_seconds=max(0.0, median(load.p50_seconds - guess.p50_seconds for load, guess in pairs)),
        server_bytes=int(median(load.peak_bytes - guess.peak_bytes for load, guess in pairs)),
    )


def errors(loads: Sequence[Load], interpreter_seconds: float) -> list[dict[str, Any]]:
    """Return, for each load, how far off it is predicted with constants fitted to the other models, as fractions."""
    lines = []
    for load in loads:
        others = [other for other in loads if other.bundle.name != load.bundle.name] or list(loads)
        guess = predict(load.bundle, load.profile, load.rps, load.rows, fit(others, interpreter_seconds))
        lines.append(
            {
                "model": load.bundle.name,
                "rows": load.rows,
                "rps": load.rps,
                "utilization": guess.utilization,
                "p50_seconds": guess.p50_seconds / load.p50_seconds - 1,
                "p99_seconds": guess.p99_seconds / load.p99_seconds - 1,
                "cpu_cores": guess.cpu_cores / (load.rps * load.cpu_seconds) - 1,
                "peak_bytes": guess.peak_bytes / load.peak_bytes - 1,
            }
        )
    return lines


def _bearable(bundle: Bundle) -> Iterator[tuple[int, float]]:
    for rows in ROWS:
        for rps in RATES:
            if predict(bundle, read_profile(bundle), rps, rows).utilization <= MOST_UTILIZATION:
                yield rows, rps


def _measure_one(folder: Path, rows: int, rps: float, seconds: float) -> Load | None:
    """Return what one load showed, or None if not every request was answered: that is no load to be sized for."""
    client = sorted(os.sched_getaffinity(0))[-1]
    with _server(folder) as (url, pid):
        command = [sys.executable, "-m", "snooze.cli", "bench", "load", url, "--bundle", str(folder)]
        command += ["--rows", str(rows), "--rps", str(rps), "--duration", f"{seconds}s", "--pid", str(pid), "--json"]
        done = subprocess.run(["taskset", "-c", str(client), *command], capture_output=True, text=True, check=False)
    if done.returncode == 1:
        return None
    if done.returncode != 0:
        sys.exit(f"the load failed: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    return Load(
        bundle=read(folder),
        rows=rows,
        rps=rps,
        p50_seconds=report["p50_ms"] / 1e3,
        p99_seconds=report["p99_ms"] / 1e3,
        cpu_seconds=report["cpu_cores"] / report["achieved_rps"],
        peak_bytes=report["peak_mib"] * 2**20,
    )


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, int]]:
    core = sorted(os.sched_getaffinity(0))[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"SNOOZE_HOST": "127.0.0.1", "PORT": str(port), "SNOOZE_MODELS": str(folder), "SNOOZE_LOG": "off"}
    # taskset becomes the server, so this is the server's process.
    command = ["taskset", "-c", str(core), sys.executable, "-m", "snooze.service"]
    server = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        _wait_ready(f"http://127.0.0.1:{port}/readyz", server)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait()


def _wait_ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own, on this machine
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit("the server does not start")
            time.sleep(0.05)


def _summary(loads: list[Load]) -> Load:
    """Return what the rounds of one load say together: other work on the machine can only make an answer later."""
    least = {name: min(getattr(load, name) for load in loads) for name in ("p50_seconds", "p99_seconds")}
    usual = {name: median(getattr(load, name) for load in loads) for name in ("cpu_seconds", "peak_bytes")}
    return replace(loads[0], **least, **usual)


def _non_negative(terms: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = list(range(terms.shape[1]))
    solution = np.zeros(terms.shape[1])
    while kept:
        part = np.linalg.lstsq(terms[:, kept], wanted, rcond=None)[0]
        if (part >= 0).all():
            solution[kept] = part
            break
        del kept[int(np.argmin(part))]
    return solution


def _seen(off: list[float]) -> dict[str, float]:
    return asdict(Deviation(typical=round(median(off), 3), largest=round(max(off), 3)))


def _line(load: Load) -> str:
    return (
        f"{load.bundle.name} {load.rows} rows, {load.rps:g}/s: p50 {load.p50_seconds * 1e3:.3f} ms, "
        f"CPU {load.cpu_seconds * 1e6:.1f} us a request, peak {load.peak_bytes / 2**20:.1f} MiB"
    )


def main() -> None:
    """Print the measurements, the constants and the errors as one JSON document."""
    parser = argparse.ArgumentParser(description="Measure the constants that snooze size calculates with.")
    parser.add_argument("models", type=Path, help="a repository of bundles converted on this machine")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load (6)")
    arguments = parser.parse_args()
    loads = measure(arguments.models, arguments.rounds, arguments.seconds)
    interpreter = median(float(load.profile.interpreter_seconds) for load in loads)
    lines = errors(loads, interpreter)
    document = {
        "loads": [asdict(replace(load, bundle=load.bundle.name)) for load in loads],  # type: ignore[arg-type]
        "calibration": asdict(fit(loads, interpreter)),
        "errors": lines,
        "seen": {name: _seen([abs(line[name]) for line in lines]) for name in FIGURES},
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

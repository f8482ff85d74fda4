"""
Measure the constants that `snooze size` calculates with, and how far its predictions are off.

Every model of a repository, whose bundles were converted on this machine, is served on one core and loaded from
another, at every rate that it can handle. The constants are fitted to the CPU times; for the deviations, each model is
predicted with constants that were fitted to the others. The result has the form of `calibration.json`.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snooze.benchmarks.errors import LoadFailed
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.runner import run as run_load
from snooze.benchmarks.load.target import RequestOptions
from snooze.benchmarks.machine import describe, only_core, two_cores
from snooze.benchmarks.meters import MIB, Tree
from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import running
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import Profile, read_profile
from snooze.bundle.store import find
from snooze.bundle.units import format_duration
from snooze.knative.sizing.calibration import Calibration, Deviation, Figures, Measurement
from snooze.knative.sizing.cost import count_values, run_of
from snooze.knative.sizing.prediction import Prediction, predict

RATES: Final = (20.0, 100.0, 500.0, 2000.0)
ROWS: Final = (1, 16)
MAX_UTILIZATION: Final = 0.7  # services are sized for it; above it, latency is mostly chance
COOLING_SECONDS: Final = np.geomspace(2e-4, 5e-2, 60)

Floats = NDArray[np.float64]


class Observation(NamedTuple):
    """What a load showed: times and CPU of a request in seconds, the server's highest resident memory in bytes."""

    bundle: Bundle
    profile: Profile
    rows: int
    rps: float
    p50_seconds: float
    p99_seconds: float
    cpu_seconds: float
    peak_bytes: float

    def predict(self, calibration: Calibration) -> Prediction:
        """Return what the calibration predicts for the same load."""
        return predict(self.bundle, self.profile, self.rps, self.rows, calibration)


def run(models: Path, rounds: int, seconds: float, output: Path | None = None) -> int:
    """Measure, print the figures as JSON or write them to `output`, and return the exit code 0."""
    observed = measure(models, rounds, seconds)
    machine = describe(packages=())
    figures = Figures(
        measured=Measurement(
            command=f"snooze bench sizing {models} --rounds {rounds} --duration {seconds:g}s",
            machine=f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}",
            date=datetime.now(UTC).date().isoformat(),
            models=tuple(sorted({one.bundle.name for one in observed})),
            loads=len(observed),
        ),
        calibration=fit(observed),
        deviations=deviations(observed),
    )
    text = json.dumps(figures.as_dict(), indent=2)
    if output is None:
        print(text)
        return 0
    try:
        output.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise InvalidOption("--output", f"cannot write {output}: {error.strerror}") from None
    return 0


def measure(models: Path, rounds: int, seconds: float) -> list[Observation]:
    """Return what every model of a repository shows at every rate that it can handle, over all rounds."""
    server_core, load_core = two_cores()
    found: dict[tuple[Path, int, float], list[Observation]] = {}
    loads = [(one, *load) for one in find(models) for load in feasible_loads(one.bundle)]
    with only_core(load_core):
        for number, (one, rows, rps) in product(range(1, rounds + 1), loads):
            observed = observe(one.folder, rows, rps, seconds, server_core)
            result = "not all requests were answered"
            if observed is not None:
                found.setdefault((one.folder, rows, rps), []).append(observed)
                p50, cpu = format_duration(observed.p50_seconds), format_duration(observed.cpu_seconds)
                result = f"p50 {p50}, CPU {cpu} per request"
            print(f"round {number}: {one.bundle.name}, {rows} rows, {rps:g}/s: {result}", file=sys.stderr)
    if not found:
        raise LoadFailed("no model handled any of the loads")
    return [combine(observations) for observations in found.values()]


def feasible_loads(bundle: Bundle) -> Iterator[tuple[int, float]]:
    """Yield the rows and rates at which a server with this model is predicted to keep up."""
    for rows in ROWS:
        for rps in RATES:
            if predict(bundle, read_profile(bundle), rps, rows).utilization <= MAX_UTILIZATION:
                yield rows, rps


def observe(folder: Path, rows: int, rps: float, seconds: float, core: int) -> Observation | None:
    """Return what one load of a server on `core` shows; None if not all requests were answered."""
    golden = Golden.of(folder)
    with running(snooze(golden), golden, [core]) as server:
        started_bytes = Tree(server.pid).peak_bytes()  # which the load resets
        options = RequestOptions(golden.bundle.name, str(folder), rows=rows)
        report = run_load(f"http://127.0.0.1:{server.port}", options, Pace(rps, seconds), pid=server.pid)
    if report.errors:
        return None
    if report.p50_ms is None or report.p99_ms is None or report.cpu_cores is None or report.peak_mib is None:
        raise LoadFailed("the server's CPU and memory were not measured")
    return Observation(
        bundle=golden.bundle,
        profile=read_profile(golden.bundle),
        rows=rows,
        rps=rps,
        p50_seconds=report.p50_ms / 1e3,
        p99_seconds=report.p99_ms / 1e3,
        cpu_seconds=report.cpu_cores / report.achieved_rps,
        peak_bytes=max(started_bytes, report.peak_mib * MIB),
    )


def combine(rounds: list[Observation]) -> Observation:
    """Return one load's rounds as one: the least latencies, for other work only adds to them, and median costs."""
    least = {name: min(getattr(one, name) for one in rounds) for name in ("p50_seconds", "p99_seconds")}
    usual = {name: median(getattr(one, name) for one in rounds) for name in ("cpu_seconds", "peak_bytes")}
    return rounds[0]._replace(**least, **usual)


def fit(observed: Sequence[Observation]) -> Calibration:
    """
    Return the constants that explain the CPU times of all loads best, each load weighing the same.

    For a given cooling time the others are linear and must not be negative: non-negative least squares.
    """
    runs: Floats = np.array([run_of(one.profile, one.rows).cpu_seconds for one in observed])
    measured: Floats = np.array([one.cpu_seconds for one in observed])
    values: Floats = np.array(
        [one.rows * count_values((*one.bundle.inputs, *one.bundle.outputs)) for one in observed], np.float64
    )
    sizes: Floats = np.array([one.profile.model_bytes for one in observed], np.float64)
    rates: Floats = np.array([one.rps for one in observed])
    best: tuple[float, Floats, float] | None = None
    for cooling in COOLING_SECONDS.tolist():
        cold = 1 / (1 + rates * cooling)
        terms = np.column_stack([np.ones(len(observed)), values, cold, cold * sizes]) / measured[:, np.newaxis]
        wanted = (measured - runs) / measured
        solution = _non_negative(terms, wanted)
        residual = float(np.sum((terms @ solution - wanted) ** 2))
        if best is None or residual < best[0]:
            best = residual, solution, cooling
    assert best is not None
    request, value, cold_request, cold_byte = best[1].tolist()
    fitted = Calibration(
        interpreter_seconds=median(one.profile.interpreter_seconds for one in observed),
        request_seconds=request,
        value_seconds=value,
        cold_seconds=cold_request,
        cold_byte_seconds=cold_byte,
        cooling_seconds=best[2],
        path_seconds=0.0,
        server_bytes=0,
    )
    predicted = [(one, one.predict(fitted)) for one in observed]
    return replace(
        fitted,
        path_seconds=max(0.0, median(one.p50_seconds - guess.p50_seconds for one, guess in predicted)),
        server_bytes=int(median(one.peak_bytes - guess.peak_bytes for one, guess in predicted)),
    )


def deviations(observed: Sequence[Observation]) -> dict[str, Deviation]:
    """Return how far each figure is predicted off with constants that were fitted to the other models."""
    off: dict[str, list[float]] = {"p50_seconds": [], "p99_seconds": [], "cpu_cores": [], "peak_bytes": []}
    calibrations = {
        name: fit([other for other in observed if other.bundle.name != name] or observed)
        for name in {one.bundle.name for one in observed}
    }
    for one in observed:
        guess = one.predict(calibrations[one.bundle.name])
        off["p50_seconds"].append(guess.p50_seconds / one.p50_seconds - 1)
        off["p99_seconds"].append(guess.p99_seconds / one.p99_seconds - 1)
        off["cpu_cores"].append(guess.cpu_cores / (one.rps * one.cpu_seconds) - 1)
        off["peak_bytes"].append(guess.peak_bytes / one.peak_bytes - 1)
    sizes = {name: [abs(value) for value in values] for name, values in off.items()}
    return {name: Deviation(round(median(values), 3), round(max(values), 3)) for name, values in sizes.items()}


def _non_negative(terms: Floats, wanted: Floats) -> Floats:
    """Return the least-squares solution without negative values, by leaving out what would be negative."""
    kept = list(range(terms.shape[1]))
    solution = np.zeros(terms.shape[1])
    while kept:
        part = np.linalg.lstsq(terms[:, kept], wanted, rcond=None)[0]
        if (part >= 0).all():
            solution[kept] = part
            break
        del kept[int(np.argmin(part))]
    return solution

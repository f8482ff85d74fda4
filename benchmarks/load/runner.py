"""Run one load against a server and report it: the generator sends, this process watches the server and concludes."""

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Final

from snooze.benchmarks.load import generator
from snooze.benchmarks.load.arrivals import Arrivals, Pace
from snooze.benchmarks.load.generator import Progress
from snooze.benchmarks.load.outcomes import Record, percentile, percentiles_ms
from snooze.benchmarks.load.payloads import Protocol
from snooze.benchmarks.load.report import MIB, LoadReport
from snooze.benchmarks.load.target import Target, Wanted, prepare, try_once
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import Cgroup, Meter, Tree, Watch

BUSY: Final = 0.8
REACHED: Final = 0.95
PACKAGES: Final = ("snooze", "locust", "gevent", "geventhttpclient")


def run(
    url: str,
    *,
    model: str | None = None,
    data: Path | None = None,
    row: tuple[str, ...] = (),
    label: str | None = None,
    rows: int = 1,
    protocol: Protocol = "v2",
    binary: bool = False,
    rps: float = 50.0,
    seconds: float = 20.0,
    users: int = 64,
    arrivals: Arrivals = "poisson",
    bundle: Path | None = None,
    pid: int | None = None,
    cgroup: Path | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """
    Offer `rps` requests per second for `seconds` to the server at `url` and report what became of them.

    Args:
        data: rows to send (.npz, .npy, .csv, .jsonl); else `row`; else those of `bundle`; else drawn at random.
        users: how many requests may be open at the same time, each on a connection of its own.
        bundle: predict from its profile what the server needs, and set that beside what was measured.
        pid: the server, whose CPU and memory are measured, with its children. Or `cgroup`, its folder.
        progress: called about once a second with `seconds`, `done`, `answered` and `open`.

    Raises:
        BenchmarkError: the load cannot be run; nothing is left running.
    """
    pace = Pace(rps, seconds, users, arrivals)
    rows_from = data or (bundle if not row else None)
    wanted = Wanted(model, rows_from, tuple(row), label, rows, protocol, binary)
    generator.check()
    meter = _meter(pid, cgroup)
    target = prepare(url, wanted)
    predicted = _predict(bundle, target, rps) if bundle else None
    try_once(target)
    with Watch(meter) as watch:
        record = generator.drive(target, wanted, pace, watch, progress)
    return _report(target, wanted, pace, record, watch, predicted)


def _meter(pid: int | None, cgroup: Path | None) -> Meter | None:
    if pid is not None:
        return Tree(pid)
    return Cgroup(cgroup) if cgroup is not None else None


def _predict(bundle: Path, target: Target, rps: float) -> Mapping[str, float | None]:
    from snooze.bundle.evidence import read_profile
    from snooze.bundle.store import latest
    from snooze.knative.sizing.prediction import predict

    contract = latest(bundle).bundle
    prediction = predict(contract, read_profile(contract), rps, target.rows)
    return {
        # At saturation the predicted latency is infinite, which JSON cannot say.
        "p50_ms": prediction.p50_seconds * 1000 if isfinite(prediction.p50_seconds) else None,
        "cpu_cores": prediction.cpu_cores,
        "peak_mib": prediction.peak_bytes / MIB,
    }


def _report(
    target: Target,
    wanted: Wanted,
    pace: Pace,
    record: Record,
    watch: Watch,
    predicted: Mapping[str, float | None] | None,
) -> LoadReport:
    usage, counts = watch.usage, record.counts()
    return LoadReport(
        url=target.address.url,
        model=target.model,
        protocol=f"{wanted.protocol}{' binary' if wanted.binary else ''}",
        rows=target.rows,
        data=target.source,
        arrivals=pace.arrivals,
        users=pace.users,
        seconds=pace.seconds,
        offered_rps=record.offered_rps(),
        achieved_rps=record.achieved_rps(),
        requests=len(record.due),
        errors=len(record.due) - counts["answered"],
        outcomes=counts,
        **percentiles_ms(record.latencies()),
        cpu_cores=usage.cpu_cores if usage else None,
        peak_mib=usage.peak_bytes / MIB if usage else None,
        memory_is=usage.memory_is if usage else None,
        predicted=predicted,
        client=_client(record),
        warnings=tuple(_warnings(record, watch.problem)),
        machine=describe(PACKAGES),
    )


def _client(record: Record) -> Mapping[str, float | None]:
    late = percentile(record.lateness(), 99)
    return {"busy_cores": record.client_busy(), "late_p99_ms": None if late is None else late * 1000}


def _warnings(record: Record, problem: str | None) -> Iterator[str]:
    if record.client_busy() > BUSY:
        yield f"the load generator used {record.client_busy():.0%} of a core: the latencies are its own; offer less"
    if record.achieved_rps() < REACHED * record.offered_rps():
        yield f"{record.achieved_rps():.1f} of {record.offered_rps():.1f} requests/s were answered"
    if unsent := record.counts()["unsent"]:
        yield f"{unsent} requests still waited for a free connection at the end: true latencies are higher"
    if problem:
        yield f"the server's CPU and memory were not measured: {problem}"

"""Run one load against a server and report it: the generator sends, this process measures the server."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Final

from snooze.benchmarks.load import generator
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.generator import Progress
from snooze.benchmarks.load.outcomes import Record, percentile, percentiles_ms
from snooze.benchmarks.load.report import LoadReport
from snooze.benchmarks.load.target import RequestOptions, Target, prepare, send_once
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import MIB, Cgroup, Meter, Tree, Watch
from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import read_profile
from snooze.bundle.store import latest
from snooze.client.v2 import MODELS

MAX_CLIENT_BUSY: Final = 0.8
MIN_ACHIEVED: Final = 0.95
PACKAGES: Final = ("snooze", "locust", "gevent", "geventhttpclient")


def run(
    url: str,
    options: RequestOptions | None = None,
    pace: Pace | None = None,
    *,
    bundle: Path | None = None,
    pid: int | None = None,
    cgroup: Path | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """
    Offer requests at a fixed rate to the server at `url` and report their outcomes.

    Args:
        bundle: names the model, gives rows where the options have none, and predicts what the server needs.
        pid: the server's process, whose CPU and memory are measured with its descendants'; or `cgroup`, its folder.
        progress: called about once a second with `seconds`, `done`, `answered` and `open`.

    Raises:
        SnoozeError: the load cannot run; no process is left behind.
    """
    generator.require_locust()
    options, pace = options or RequestOptions(), pace or Pace()
    meter: Meter | None = Tree(pid) if pid is not None else Cgroup(cgroup) if cgroup is not None else None
    contract = latest(bundle).bundle if bundle else None
    if contract:
        model = options.model or ("" if MODELS in url else contract.name)
        data = options.data if options.data or options.row else str(bundle)
        options = replace(options, model=model, data=data)
    target = prepare(url, options)
    predicted = _predict(contract, target.rows, pace.rps) if contract else None
    send_once(target)
    with Watch(meter) as watch:
        record = generator.drive(target, options, pace, watch, progress)
    return _report(target, options, pace, record, watch, predicted)


def _predict(bundle: Bundle, rows: int, rps: float) -> Mapping[str, float | None]:
    from snooze.knative.sizing.prediction import predict

    prediction = predict(bundle, read_profile(bundle), rps, rows)
    return {
        # At saturation the predicted latency is infinite, which does not exist in JSON.
        "p50_ms": prediction.p50_seconds * 1000 if isfinite(prediction.p50_seconds) else None,
        "cpu_cores": prediction.cpu_cores,
        "peak_mib": prediction.peak_bytes / MIB,
    }


def _report(
    target: Target,
    options: RequestOptions,
    pace: Pace,
    record: Record,
    watch: Watch,
    predicted: Mapping[str, float | None] | None,
) -> LoadReport:
    usage, counts, late = watch.usage, record.counts(), percentile(record.lateness() * 1000, 99)
    return LoadReport(
        url=target.model.address.url,
        model=target.model.name,
        protocol=f"{options.protocol}{' binary' if options.binary else ''}",
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
        memory_source=usage.memory_source if usage else None,
        predicted=predicted,
        client={"busy_cores": record.client_busy(), "late_p99_ms": late},
        warnings=tuple(_warnings(record, watch.problem)),
        machine=describe(packages=PACKAGES),
    )


def _warnings(record: Record, problem: str | None) -> Iterator[str]:
    if record.client_busy() > MAX_CLIENT_BUSY:
        yield f"the load generator used {record.client_busy():.0%} of a core: the latencies are its own; offer less"
    if record.achieved_rps() < MIN_ACHIEVED * record.offered_rps():
        yield f"{record.achieved_rps():.1f} of {record.offered_rps():.1f} requests/s were answered"
    counts = record.counts()
    if unanswered := len(record.due) - counts["answered"]:
        unsent = f", {counts['unsent']} of them were never sent" if counts["unsent"] else ""
        yield (
            f"the latencies include {unanswered} requests without an answer{unsent}: each counts until it was given "
            "up, and at least as much as the slowest answer"
        )
    if problem:
        yield f"the server's CPU and memory were not measured: {problem}"

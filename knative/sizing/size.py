"""The size of a service for a load: pods, CPU, memory and the limits of concurrency."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import Profile
from snooze.bundle.limits import MEMORY_FACTOR, memory_limit
from snooze.knative.errors import TooSlow
from snooze.knative.sizing.calibration import Calibration, Deviation, read_figures
from snooze.knative.sizing.cost import Cost, cost_of, count_values
from snooze.knative.sizing.prediction import Prediction, peak_bytes, predict

PLANNED_UTILIZATION: Final = 0.7
MEMORY_HEADROOM: Final = 1.25
VALUE_CHARACTERS: Final = 24  # of the longest number in JSON, with its comma
MIN_BODY: Final = 2**20
MAX_BODY: Final = 2**24  # the server's default limit
MAX_RPS: Final = 1e9
MIN_CPU: Final = 0.05  # cores; a start from zero needs CPU on a busy node too
MAX_CONCURRENCY: Final = 100  # a higher limit protects nothing: the queue before it is as long again
FEW_SLOTS: Final = 4  # with so few, an even spread of requests would queue at one pod while another is idle
CHEAP_SECONDS: Final = 0.005
KNATIVE_UTILIZATION: Final = 0.7  # container-concurrency-target-percentage of config-autoscaler
KNATIVE_BURST_CAPACITY: Final = 211  # target-burst-capacity of config-autoscaler
QUEUE_PROXY_SECONDS: Final = 0.0003  # the median that Knative's own proxy adds to a request


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a service: the number of pods for the whole rate; CPU in cores and memory in bytes of one pod."""

    rps: float
    rows: int
    p99_seconds: float | None
    pods: int
    rps_per_pod: float
    pod: Prediction  # for one of the pods
    cpu_request: float
    cpu_limit: float
    memory_request: int
    memory_limit: int  # the predicted peak with headroom, and room for any request of `max_body`
    max_body: int  # the largest body of a request, in bytes
    concurrency: int  # the hard limit of requests in a pod; 0 for none
    target: int  # the number of requests in a pod that Knative's autoscaler aims at
    burst_capacity: int  # Knative's target-burst-capacity
    deviations: Mapping[str, Deviation]  # how far predictions were from measurements, by figure


def size(
    bundle: Bundle,
    profile: Profile,
    rps: float,
    p99_seconds: float | None = None,
    rows: int = 1,
    max_body: int | None = None,
) -> Size:
    """
    Return the size of a service for `rps` requests of `rows` rows per second, with a p99 of at most `p99_seconds`.

    `max_body` is the largest body of a request in bytes; None stands for the size of the most rows as JSON.

    Raises:
        InvalidOption: the rate, the time or the number of rows is out of range.
        TooSlow: a single request takes longer than `p99_seconds`.
    """
    _check(rps, p99_seconds, rows)
    figures = read_figures()
    calibration = figures.calibration
    rps_per_pod = _max_rps(bundle, profile, rows, p99_seconds, calibration)
    pods = math.ceil(rps / rps_per_pod)
    pod = predict(bundle, profile, rps / pods, rows, calibration)
    cost = cost_of(bundle, profile, rows, rps_per_pod, calibration)
    concurrency = _hard_limit(p99_seconds, cost)
    target = _target(cost)
    memory = peak_bytes(profile, max(run.rows for run in profile.run), calibration)
    body = largest_body(bundle, profile) if max_body is None else max_body
    return Size(
        rps=rps,
        rows=rows,
        p99_seconds=p99_seconds,
        pods=pods,
        rps_per_pod=rps_per_pod,
        pod=pod,
        cpu_request=max(MIN_CPU, pod.cpu_cores),
        cpu_limit=float(max(1, bundle.session.intra_op_threads)),
        memory_request=memory,
        memory_limit=max(
            int(memory * MEMORY_HEADROOM + MEMORY_FACTOR * body), memory_limit(memory, (1 + MEMORY_FACTOR) * body)
        ),
        max_body=body,
        concurrency=concurrency,
        target=min(target, concurrency) if concurrency else target,
        burst_capacity=_burst_capacity(concurrency, cost),
        deviations=figures.deviations,
    )


def largest_body(bundle: Bundle, profile: Profile) -> int:
    """Return the size of the most rows as JSON, rounded up to MiB; at most the server's default limit."""
    rows = bundle.batching.max_rows if bundle.batching else max(run.rows for run in profile.run)
    text = rows * count_values(bundle.inputs) * VALUE_CHARACTERS
    return min(MAX_BODY, max(1, math.ceil(text / MIN_BODY)) * MIN_BODY)


def _check(rps: float, p99_seconds: float | None, rows: int) -> None:
    if not 0 < rps <= MAX_RPS:
        raise InvalidOption("--rps", f"expected a rate above 0 and up to {MAX_RPS:g}, got {rps:g}")
    if rows < 1:
        raise InvalidOption("--rows", f"expected at least 1, got {rows}")
    if p99_seconds is not None and p99_seconds <= 0:
        raise InvalidOption("--p99", f"expected a time above 0, got {p99_seconds:g} s")


def _max_rps(bundle: Bundle, profile: Profile, rows: int, p99_seconds: float | None, calibration: Calibration) -> float:
    """Return the highest rate at which one server keeps to the planned utilization and to the p99."""
    # At the upper bound requests take all of the time. Utilization and p99 grow with the rate, so bisection finds it.
    low, high = 0.0, 1 / cost_of(bundle, profile, rows, math.inf, calibration).service
    if p99_seconds is not None:
        alone = predict(bundle, profile, low, rows, calibration).p99_seconds
        if alone > p99_seconds:
            raise TooSlow(p99_seconds, alone)
    for _ in range(60):
        middle = (low + high) / 2
        pod = predict(bundle, profile, middle, rows, calibration)
        if pod.utilization <= PLANNED_UTILIZATION and (p99_seconds is None or pod.p99_seconds <= p99_seconds):
            low = middle
        else:
            high = middle
    return low


def _hard_limit(p99_seconds: float | None, cost: Cost) -> int:
    """Return the number of requests in a pod of which the last is still answered in time; 0 for no limit."""
    if p99_seconds is None:
        return 0
    limit = max(1, int(p99_seconds / cost.service))
    return limit if limit <= MAX_CONCURRENCY else 0


def _target(cost: Cost) -> int:
    """Return the autoscaler's target: it adds a pod at 70 % of it, which is the concurrency at the planned rate."""
    return max(1, math.ceil(cost.rps * (cost.residence + QUEUE_PROXY_SECONDS) / KNATIVE_UTILIZATION))


def _burst_capacity(concurrency: int, cost: Cost) -> int:
    """Return Knative's target-burst-capacity: -1 keeps the activator in the path, 0 removes it above zero pods."""
    if 0 < concurrency <= FEW_SLOTS:
        return -1
    return 0 if cost.service < CHEAP_SECONDS else KNATIVE_BURST_CAPACITY

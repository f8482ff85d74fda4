"""
What a bundle will need, from what was measured when it was converted, and how wrong that may be.

Two sources meet here: the bundle's profile (how long its model runs, what memory it takes) and what the server adds
to each request (`calibration.py`). The formulas and their sources:

* Service time S of a request at a rate: `cost.py`.
* CPU = arrival rate * CPU seconds of a request (the utilization law): the project's "CPU = alpha * rate * latency"
  with alpha measured instead of fitted. rho, the utilization, is rate * S.
* Latency: one server is one queue with one place. A request waits with probability rho, and then for an exponential
  time of mean S * (1 + v^2) / (2 * (1 - rho)) with v^2 the squared coefficient of variation of S: Kingman's formula,
  exact for M/M/1.
* Memory: "beta * model size + gamma" with both measured: the server without a model, plus what loading and running
  this model added to a process. Only where the profile lacks that, a line above four measured models. Above the peak
  there is room for chance and for the largest body of a request, which is held as text, numbers and array.
* Concurrency: N = rate * residence (Little's law), which is what Knative's autoscaler observes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.knative.calibration import BETA, BODY_FACTOR, ERRORS, GAMMA_BYTES, MEASURED, Calibration, SeenError
from snooze.knative.cost import Cost, cost_of, machine_scale, model_bytes, values
from snooze.knative.errors import InvalidOption, NoProfile, TooSlow

PLANNED_UTILIZATION: Final = 0.7
MEMORY_HEADROOM: Final = 1.25
TEXT_BYTES: Final = 24  # the longest text of a number, with its comma
LEAST_BODY, MOST_BODY = 2**20, 2**24  # the latter is what a server takes that is told nothing
MOST_RPS: Final = 1e9
LEAST_CPU: Final = 0.05  # cores; a start from zero takes CPU, also on a busy node
MOST_USEFUL_LIMIT: Final = 100  # a limit above that protects nothing: the queue before it is as long again
FEW_SLOTS: Final = 4  # so few that Envoy's blind spreading would queue at one pod while another idles
CHEAP_SECONDS: Final = 0.005
KNATIVE_UTILIZATION: Final = 0.7  # container-concurrency-target-percentage of config-autoscaler
KNATIVE_BURST_CAPACITY: Final = 211  # target-burst-capacity of config-autoscaler
QUEUE_PROXY_SECONDS: Final = 0.0003  # what Knative's own proxy adds to a request, at the median


@dataclass(frozen=True, slots=True)
class Prediction:
    """
    What one server will show with `rps` requests of `rows` rows a second: times in seconds, CPU in cores.

    `utilization` is the share of time in which the server works; at 1 the latencies are infinite.
    """

    rps: float
    rows: int
    p50_seconds: float
    p99_seconds: float
    cpu_cores: float
    peak_bytes: int
    utilization: float
    in_flight: float


@dataclass(frozen=True, slots=True)
class Size:
    """
    What a service needs: CPU in cores and memory in bytes of one pod, and the number of pods for the whole rate.

    `pod` is the prediction for one of the pods. `max_body` is the largest body of a request that `memory_limit` bears.
    `concurrency` is the hard limit of requests in a pod (0: none), `target` what the autoscaler aims at,
    `burst_capacity` Knative's target-burst-capacity. `errors` says for each figure of a prediction how far off it was
    where it was compared with a measurement.
    """

    rps: float
    rows: int
    p99_seconds: float | None
    pods: int
    rps_per_pod: float
    pod: Prediction
    cpu_request: float
    cpu_limit: float
    memory_request: int
    memory_limit: int
    max_body: int
    concurrency: int
    target: int
    burst_capacity: int
    errors: Mapping[str, SeenError]

    def as_dict(self) -> dict[str, Any]:
        """Return the size as what JSON can say."""
        return asdict(self)


def predict(bundle: Bundle, rps: float, rows: int = 1, calibration: Calibration = MEASURED) -> Prediction:
    """
    Return what one server on the CPU of the bundle's profile will show, with requests that arrive at random (Poisson).

    Raises:
        NoProfile: the bundle does not say how long its model runs, or what memory that takes.
    """
    cost = cost_of(bundle, rows, rps, calibration)
    alone = machine_scale(bundle, calibration) * calibration.path_seconds + cost.service
    return Prediction(
        rps=rps,
        rows=rows,
        p50_seconds=alone + cost.wait(0.50),
        p99_seconds=alone + cost.wait(0.99),
        cpu_cores=min(rps, 1 / cost.service) * cost.cpu,
        peak_bytes=peak_bytes(bundle, rows, calibration),
        utilization=cost.utilization,
        in_flight=rps * cost.residence,
    )


def size(
    bundle: Bundle, rps: float, p99_seconds: float | None = None, rows: int = 1, max_body: int | None = None
) -> Size:
    """
    Return what a service needs for `rps` requests of `rows` rows a second, 99 in 100 answered within `p99_seconds`.

    `max_body` is the most bytes of a request's body; None is what the most rows need as JSON.

    Raises:
        InvalidOption: a rate, time or number of rows that makes no sense.
        NoProfile: the bundle does not say how long its model runs, or what memory that takes.
        TooSlow: even a request alone takes longer than `p99_seconds`.
    """
    _check(rps, p99_seconds, rows)
    most = _most_rps(bundle, rows, p99_seconds)
    pods = math.ceil(rps / most)
    pod = predict(bundle, rps / pods, rows)
    cost = cost_of(bundle, rows, most)
    concurrency = _hard_limit(p99_seconds, cost)
    target = _target(cost)
    memory = peak_bytes(bundle, max(run.rows for run in bundle.profile.run))
    body = largest_body(bundle) if max_body is None else max_body
    return Size(
        rps=rps,
        rows=rows,
        p99_seconds=p99_seconds,
        pods=pods,
        rps_per_pod=most,
        pod=pod,
        cpu_request=max(LEAST_CPU, pod.cpu_cores),
        cpu_limit=float(max(1, bundle.session.intra_op_threads)),
        memory_request=memory,
        memory_limit=int(memory * MEMORY_HEADROOM + BODY_FACTOR * body),
        max_body=body,
        concurrency=concurrency,
        target=min(target, concurrency) if concurrency else target,
        burst_capacity=_burst_capacity(concurrency, cost),
        errors=ERRORS,
    )


def peak_bytes(bundle: Bundle, rows: int = 1, calibration: Calibration = MEASURED) -> int:
    """
    Return the highest resident memory of a server with this model that answers requests of `rows` rows.

    Raises:
        NoProfile: the bundle says nothing of its model's memory.
    """
    memory = bundle.profile.memory
    try:
        peak = memory["one_row" if rows == 1 else "runs"]["peak"]
        return int(calibration.server_bytes + peak - memory["imported"]["resident"])
    except (KeyError, TypeError):
        pass
    if model_bytes(bundle):
        return int(calibration.server_bytes + BETA * model_bytes(bundle) + GAMMA_BYTES)
    raise NoProfile(bundle.name, bundle.version, "memory")


def largest_body(bundle: Bundle) -> int:
    """Return the bytes of the most rows as JSON, in whole MiB; never more than a server takes that is told nothing."""
    rows = bundle.batching.max_rows if bundle.batching else max(run.rows for run in bundle.profile.run)
    text = rows * values(bundle.inputs) * TEXT_BYTES
    return min(MOST_BODY, max(1, math.ceil(text / LEAST_BODY)) * LEAST_BODY)


def _check(rps: float, p99_seconds: float | None, rows: int) -> None:
    if not 0 < rps <= MOST_RPS:
        raise InvalidOption("--rps", f"expected a rate above 0 and up to {MOST_RPS:g}, got {rps:g}")
    if rows < 1:
        raise InvalidOption("--rows", f"expected at least 1, got {rows}")
    if p99_seconds is not None and not (math.isfinite(p99_seconds) and p99_seconds > 0):
        raise InvalidOption("--p99", f"expected a time above 0, got {p99_seconds:g} s")


def _most_rps(bundle: Bundle, rows: int, p99_seconds: float | None) -> float:
    """Return the highest rate at which one server is busy for 70 % of the time at most, and keeps the promise."""
    # At this rate requests alone take all of the time: the answer lies below, and utilization and tail only grow.
    least, most = 0.0, 1 / cost_of(bundle, rows, math.inf).service
    if p99_seconds is not None:
        alone = predict(bundle, least, rows).p99_seconds
        if alone > p99_seconds:
            raise TooSlow(p99_seconds, alone)
    for _ in range(60):
        middle = (least + most) / 2
        pod = predict(bundle, middle, rows)
        if pod.utilization <= PLANNED_UTILIZATION and (p99_seconds is None or pod.p99_seconds <= p99_seconds):
            least = middle
        else:
            most = middle
    return least


def _hard_limit(p99_seconds: float | None, cost: Cost) -> int:
    """Return how many requests may be inside so that the last still keeps the promise; 0 where that is no bound."""
    if p99_seconds is None:
        return 0
    limit = max(1, int(p99_seconds / cost.service))
    return limit if limit <= MOST_USEFUL_LIMIT else 0


def _target(cost: Cost) -> int:
    """Return what the autoscaler aims at: it adds a pod at 70 % of it, which is the concurrency at the planned rate."""
    return max(1, math.ceil(cost.rps * (cost.residence + QUEUE_PROXY_SECONDS) / KNATIVE_UTILIZATION))


def _burst_capacity(concurrency: int, cost: Cost) -> int:
    """Return Knative's target-burst-capacity: -1 keeps the activator in the path, 0 takes it out above zero pods."""
    if 0 < concurrency <= FEW_SLOTS:
        return -1
    return 0 if cost.service < CHEAP_SECONDS else KNATIVE_BURST_CAPACITY

"""
What a bundle will need, from what was measured when it was converted, and how wrong that may be.

Two sources meet here: the bundle's profile (how long its model runs, what memory it takes) and what the server adds
to each request (`calibration.py`). The formulas and their sources:

* Service time of a request: S = s * (request + input values * v + output values * w) + run(rows), in seconds; s scales
  the calibrating machine to this one, by the CPU seconds of one and the same Python loop on both.
* CPU = arrival rate * CPU seconds of a request (the utilization law): the project's "CPU = alpha * rate * latency"
  with alpha measured instead of fitted. A request that finds the server waiting also wakes it; that happens with
  probability 1 - rho, rho being the utilization.
* Latency: one server is one queue with one place. A request waits with probability rho, and then for an exponential
  time of mean S * (1 + v^2) / (2 * (1 - rho)) with v^2 the squared coefficient of variation of S: Kingman's formula,
  exact for M/M/1.
* Memory: "beta * model size + gamma" with both measured: the server without a model, plus what loading and running
  this model added to a process. Only where the profile lacks that, a line above four measured models.
* Concurrency: N = rate * residence (Little's law), which is what Knative's autoscaler observes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from snooze.bundle.contract import Bundle, Run, Tensor
from snooze.knative import calibration
from snooze.knative.errors import InvalidOption, NoProfile, TooSlow

PLANNED_UTILIZATION: Final = 0.7
MEMORY_HEADROOM: Final = 1.25
LEAST_CPU: Final = 0.05  # cores; a start from zero takes CPU, also on a busy node
MIDDLE_HALF: Final = 1.349  # standard deviations between the quartiles of a normal distribution
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

    `pod` is the prediction for one of the pods. `concurrency` is the hard limit of requests in a pod (0: none),
    `target` what the autoscaler aims at, `burst_capacity` Knative's target-burst-capacity. `errors` are the largest
    errors seen where predictions were compared with measurements, as fractions.
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
    concurrency: int
    target: int
    burst_capacity: int
    errors: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the size as what JSON can say."""
        return asdict(replace(self, errors=dict(self.errors)))


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one request costs a server: seconds of service, CPU seconds, and both of a wake-up; `variation` is v^2."""

    service: float
    cpu: float
    wake: float
    path: float
    variation: float

    def utilization(self, rps: float) -> float:
        """Return rho = rps * (service + wake * (1 - rho)), solved for rho and at most 1."""
        return min(1.0, rps * (self.service + self.wake) / (1 + rps * self.wake))

    def wait(self, utilization: float, quantile: float) -> float:
        """Return how long a request waits for its turn, at a quantile."""
        if utilization >= 1:
            return math.inf
        chance = utilization / (1 - quantile)
        return math.log(chance) * self._mean_wait(utilization) if chance > 1 else 0.0

    def residence(self, utilization: float) -> float:
        """Return how long a request is inside, on average."""
        return self.service + utilization * self._mean_wait(utilization) if utilization < 1 else math.inf

    def _mean_wait(self, utilization: float) -> float:
        return self.service * (1 + self.variation) / (2 * (1 - utilization))


def predict(bundle: Bundle, rps: float, rows: int = 1) -> Prediction:
    """
    Return what one server on the CPU of the bundle's profile will show, with requests that arrive at random (Poisson).

    Raises:
        NoProfile: the bundle does not say how long its model runs, or what memory that takes.
    """
    cost = _cost(bundle, rows)
    utilization = cost.utilization(rps)
    alone = cost.path + cost.service
    return Prediction(
        rps=rps,
        rows=rows,
        p50_seconds=alone + cost.wait(utilization, 0.50),
        p99_seconds=alone + cost.wait(utilization, 0.99),
        cpu_cores=min(rps, utilization / cost.service) * (cost.cpu + cost.wake * (1 - utilization)),
        peak_bytes=peak_bytes(bundle, rows),
        utilization=utilization,
        in_flight=rps * cost.residence(utilization),
    )


def size(bundle: Bundle, rps: float, p99_seconds: float | None = None, rows: int = 1) -> Size:
    """
    Return what a service needs for `rps` requests of `rows` rows a second, 99 in 100 answered within `p99_seconds`.

    Raises:
        InvalidOption: a rate, time or number of rows that makes no sense.
        NoProfile: the bundle does not say how long its model runs, or what memory that takes.
        TooSlow: even a request alone takes longer than `p99_seconds`.
    """
    _check(rps, p99_seconds, rows)
    most = _most_rps(bundle, rows, p99_seconds)
    pods = math.ceil(rps / most)
    pod = predict(bundle, rps / pods, rows)
    cost = _cost(bundle, rows)
    concurrency = _hard_limit(p99_seconds, cost)
    target = _target(cost, most)
    memory = peak_bytes(bundle, max(run.rows for run in bundle.profile.run))
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
        memory_limit=int(memory * MEMORY_HEADROOM),
        concurrency=concurrency,
        target=min(target, concurrency) if concurrency else target,
        burst_capacity=_burst_capacity(concurrency, cost),
        errors=calibration.LARGEST_ERRORS,
    )


def machine_scale(bundle: Bundle) -> float:
    """Return how much slower Python is on the profile's machine than on the calibrating one; 1 if nobody measured."""
    seconds = bundle.profile.more.get("interpreter_seconds")
    if not isinstance(seconds, (int, float)) or seconds <= 0:
        return 1.0
    return float(seconds) / calibration.INTERPRETER_SECONDS


def peak_bytes(bundle: Bundle, rows: int = 1) -> int:
    """
    Return the highest resident memory of a server with this model that answers requests of `rows` rows.

    Raises:
        NoProfile: the bundle says nothing of its model's memory.
    """
    memory = bundle.profile.memory
    try:
        peak = memory["one_row" if rows == 1 else "runs"]["peak"]
        return int(calibration.SERVER_BYTES + peak - memory["imported"]["resident"])
    except (KeyError, TypeError):
        pass
    if isinstance(memory.get("model_bytes"), int):
        return int(calibration.SERVER_BYTES + calibration.BETA * memory["model_bytes"] + calibration.GAMMA_BYTES)
    raise NoProfile(bundle.name, bundle.version, "memory")


def _cost(bundle: Bundle, rows: int) -> _Cost:
    run = _run(bundle, rows)
    scale = machine_scale(bundle)
    own = scale * (
        calibration.REQUEST_SECONDS
        + rows * calibration.INPUT_VALUE_SECONDS * _values(bundle.inputs)
        + rows * calibration.OUTPUT_VALUE_SECONDS * _values(bundle.outputs)
    )
    return _Cost(
        service=own + run.seconds,
        cpu=own + run.cpu_seconds,
        wake=scale * calibration.WAKE_SECONDS,
        path=scale * calibration.PATH_SECONDS,
        variation=(run.spread / MIDDLE_HALF / (own + run.seconds)) ** 2,
    )


def _values(tensors: tuple[Tensor, ...]) -> int:
    """Return the values of one row; a dimension that varies counts as one."""
    return sum(math.prod(max(1, length) for length in tensor.shape) for tensor in tensors)


def _run(bundle: Bundle, rows: int) -> Run:
    """Return the run of `rows` rows: as measured, or on the line through two measured ones."""
    runs = sorted(bundle.profile.run, key=lambda run: run.rows)
    if not runs:
        raise NoProfile(bundle.name, bundle.version, "run times")
    # Beyond what was measured the last step goes on; below it, and with one measurement only, time follows rows.
    index = next((index for index, run in enumerate(runs) if run.rows >= rows), len(runs) - 1)
    left, right = runs[index - 1] if index else Run(0, 0.0, 0.0, 0.0), runs[index]
    share = (rows - left.rows) / (right.rows - left.rows)
    return Run(
        rows=rows,
        seconds=left.seconds + share * (right.seconds - left.seconds),
        spread=left.spread + share * (right.spread - left.spread),
        cpu_seconds=left.cpu_seconds + share * (right.cpu_seconds - left.cpu_seconds),
    )


def _check(rps: float, p99_seconds: float | None, rows: int) -> None:
    if not (math.isfinite(rps) and rps > 0):
        raise InvalidOption("--rps", f"expected a rate above 0, got {rps:g}")
    if rows < 1:
        raise InvalidOption("--rows", f"expected at least 1, got {rows}")
    if p99_seconds is not None and not (math.isfinite(p99_seconds) and p99_seconds > 0):
        raise InvalidOption("--p99", f"expected a time above 0, got {p99_seconds:g} s")


def _most_rps(bundle: Bundle, rows: int, p99_seconds: float | None) -> float:
    """Return the highest rate at which one server is busy for 70 % of the time at most, and keeps the promise."""
    cost = _cost(bundle, rows)
    most = PLANNED_UTILIZATION / (cost.service + cost.wake * (1 - PLANNED_UTILIZATION))
    if p99_seconds is None or predict(bundle, most, rows).p99_seconds <= p99_seconds:
        return most
    alone = predict(bundle, 0.0, rows).p99_seconds
    if alone > p99_seconds:
        raise TooSlow(p99_seconds, alone)
    least = 0.0
    for _ in range(50):
        middle = (least + most) / 2
        if predict(bundle, middle, rows).p99_seconds <= p99_seconds:
            least = middle
        else:
            most = middle
    return least


def _hard_limit(p99_seconds: float | None, cost: _Cost) -> int:
    """Return how many requests may be inside so that the last still keeps the promise; 0 where that is no bound."""
    if p99_seconds is None:
        return 0
    limit = max(1, int(p99_seconds / cost.service))
    return limit if limit <= MOST_USEFUL_LIMIT else 0


def _target(cost: _Cost, rps: float) -> int:
    """Return what the autoscaler aims at: it adds a pod at 70 % of it, which is the concurrency at the planned rate."""
    concurrency = rps * (cost.residence(cost.utilization(rps)) + QUEUE_PROXY_SECONDS)
    return max(1, math.ceil(concurrency / KNATIVE_UTILIZATION))


def _burst_capacity(concurrency: int, cost: _Cost) -> int:
    """Return Knative's target-burst-capacity: -1 keeps the activator in the path, 0 takes it out above zero pods."""
    if 0 < concurrency <= FEW_SLOTS:
        return -1
    return 0 if cost.service < CHEAP_SECONDS else KNATIVE_BURST_CAPACITY

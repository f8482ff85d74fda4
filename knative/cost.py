"""
What one request costs a server, at a rate.

Service time of a request, in seconds: S = s * (request + values * v + (cold + b * model bytes) / (1 + rate * t))
+ run(rows). The constants are `calibration.py`'s; s scales the calibrating machine to this one, by the CPU seconds of
one and the same Python loop on both; run(rows) is the bundle's own profile. The third term: in a pause the caches cool,
and the request after it reads code and weights from memory again. They are cold after t seconds on average, and
1 / (1 + rate * t) of the requests that arrive at random find them so.
"""

import math
from dataclasses import dataclass
from typing import Final

from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.evidence import Run
from snooze.knative.calibration import MEASURED, Calibration
from snooze.knative.errors import NoProfile

MIDDLE_HALF: Final = 1.349  # standard deviations between the quartiles of a normal distribution


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request costs a server at a rate: seconds of service and of CPU; `variation` is v^2."""

    rps: float
    service: float
    cpu: float
    variation: float

    @property
    def utilization(self) -> float:
        return min(1.0, self.rps * self.service)

    @property
    def residence(self) -> float:
        """How long a request is inside, on average."""
        return self.service + self.utilization * self._mean_wait()

    def wait(self, quantile: float) -> float:
        """Return how long a request waits for its turn, at a quantile."""
        chance = self.utilization / (1 - quantile)
        return math.log(chance) * self._mean_wait() if chance > 1 else 0.0

    def _mean_wait(self) -> float:
        idle = 1 - self.utilization
        return self.service * (1 + self.variation) / (2 * idle) if idle > 0 else math.inf


def cost_of(bundle: Bundle, rows: int, rps: float, calibration: Calibration = MEASURED) -> Cost:
    """
    Return what a request of `rows` rows costs at `rps` requests a second.

    Raises:
        NoProfile: the bundle does not say how long its model runs.
    """
    run = run_of(bundle, rows)
    own = machine_scale(bundle, calibration) * (
        calibration.request_seconds
        + calibration.value_seconds * rows * (values(bundle.inputs) + values(bundle.outputs))
        + (calibration.cold_seconds + calibration.cold_byte_seconds * model_bytes(bundle))
        / (1 + rps * calibration.cooling_seconds)
    )
    service = own + run.seconds
    return Cost(rps, service, own + run.cpu_seconds, (run.spread / MIDDLE_HALF / service) ** 2)


def run_of(bundle: Bundle, rows: int) -> Run:
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


def machine_scale(bundle: Bundle, calibration: Calibration = MEASURED) -> float:
    """Return how much slower Python is on the profile's machine than on the calibrating one; 1 if nobody measured."""
    seconds = bundle.profile.more.get("interpreter_seconds")
    if not isinstance(seconds, (int, float)) or seconds <= 0:
        return 1.0
    return float(seconds) / calibration.interpreter_seconds


def model_bytes(bundle: Bundle) -> int:
    """Return the size of the model's files, or 0 where the profile does not say it."""
    size = bundle.profile.memory.get("model_bytes")
    return size if isinstance(size, int) else 0


def values(tensors: tuple[Tensor, ...]) -> int:
    """Return the values of one row; a dimension that varies counts as one."""
    return sum(math.prod(max(1, length) for length in tensor.shape) for tensor in tensors)

"""
The cost of one request for a server.

Service time in seconds: S = s * (request + values * v + (cold + b * model bytes) / (1 + rate * t)) + run(rows).
The constants are those of `Calibration`; s converts them from the calibrating machine to this one, by the CPU time of
the same Python loop on both; run(rows) comes from the profile. The third term describes the CPU's caches: they cool
during a pause, and the next request reads code and weights from memory again. They are cold after t seconds on
average, so 1 / (1 + rate * t) of the requests that arrive at random find them cold.
"""

import math
from dataclasses import dataclass
from typing import Final

from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.evidence import Profile, Run
from snooze.knative.sizing.calibration import Calibration

QUARTILE_DEVIATIONS: Final = 1.349  # standard deviations between the quartiles of a normal distribution


@dataclass(frozen=True, slots=True)
class Cost:
    """
    The cost of one request at a rate: service time and CPU time, in seconds.

    `variation` is the squared coefficient of variation of the service time.
    """

    rps: float
    service: float
    cpu: float
    variation: float

    @property
    def utilization(self) -> float:
        """The share of time in which the server works."""
        return min(1.0, self.rps * self.service)

    @property
    def residence(self) -> float:
        """The mean time from a request's arrival to its answer."""
        return self.service + self.utilization * self._mean_wait()

    def wait(self, quantile: float) -> float:
        """Return a quantile of the time that requests wait before they are served."""
        ratio = self.utilization / (1 - quantile)
        return math.log(ratio) * self._mean_wait() if ratio > 1 else 0.0

    def _mean_wait(self) -> float:
        """Return the mean wait of the requests that wait at all."""
        idle = 1 - self.utilization
        return self.service * (1 + self.variation) / (2 * idle) if idle > 0 else math.inf


def cost_of(bundle: Bundle, profile: Profile, rows: int, rps: float, calibration: Calibration) -> Cost:
    """Return the cost of a request of `rows` rows at `rps` requests per second."""
    run = run_of(profile, rows)
    cold = calibration.cold_seconds + calibration.cold_byte_seconds * profile.model_bytes
    own = machine_scale(profile, calibration) * (
        calibration.request_seconds
        + calibration.value_seconds * rows * (count_values(bundle.inputs) + count_values(bundle.outputs))
        + cold / (1 + rps * calibration.cooling_seconds)
    )
    service = own + run.seconds
    return Cost(rps, service, own + run.cpu_seconds, (run.spread / QUARTILE_DEVIATIONS / service) ** 2)


def run_of(profile: Profile, rows: int) -> Run:
    """Return the run of `rows` rows: as measured, or interpolated between two measured sizes."""
    runs = sorted(profile.run, key=lambda run: run.rows)
    # Above the largest measured size the last line is extended; below the smallest, time is proportional to rows.
    index = next((index for index, run in enumerate(runs) if run.rows >= rows), len(runs) - 1)
    left, right = runs[index - 1] if index else Run(0, 0.0, 0.0, 0.0), runs[index]
    share = (rows - left.rows) / (right.rows - left.rows)
    return Run(
        rows=rows,
        seconds=left.seconds + share * (right.seconds - left.seconds),
        spread=left.spread + share * (right.spread - left.spread),
        cpu_seconds=left.cpu_seconds + share * (right.cpu_seconds - left.cpu_seconds),
    )


def machine_scale(profile: Profile, calibration: Calibration) -> float:
    """Return how many times as long Python takes on the profile's machine as on the calibrating one."""
    return profile.interpreter_seconds / calibration.interpreter_seconds


def count_values(tensors: tuple[Tensor, ...]) -> int:
    """Return the number of values in one row; a variable dimension counts as one."""
    return sum(math.prod(max(1, length) for length in tensor.shape) for tensor in tensors)

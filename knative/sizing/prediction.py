"""
The load that one server bears: latency, CPU, memory and concurrency at a rate.

* CPU = rate * CPU time of a request (the utilization law). Utilization rho = rate * S, with S of `cost.py`.
* Latency: the server is a queue with one place. A request waits with probability rho, for an exponentially distributed
  time with mean S * (1 + v^2) / (2 * (1 - rho)), where v^2 is the squared coefficient of variation of S: Kingman's
  formula, exact for M/M/1.
* Memory: the server without a model, plus what loading and running this model added to a process.
* Concurrency: N = rate * residence (Little's law), which is what Knative's autoscaler observes.
"""

from dataclasses import dataclass

from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import Profile
from snooze.knative.sizing.calibration import Calibration, read_figures
from snooze.knative.sizing.cost import cost_of, machine_scale


@dataclass(frozen=True, slots=True)
class Prediction:
    """
    The figures of one server at `rps` requests of `rows` rows per second: times in seconds, CPU in cores.

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


def predict(
    bundle: Bundle, profile: Profile, rps: float, rows: int = 1, calibration: Calibration | None = None
) -> Prediction:
    """Return the figures of one server on the profile's CPU, with requests that arrive at random (Poisson)."""
    calibration = calibration or read_figures().calibration
    cost = cost_of(bundle, profile, rows, rps, calibration)
    alone = machine_scale(profile, calibration) * calibration.path_seconds + cost.service
    return Prediction(
        rps=rps,
        rows=rows,
        p50_seconds=alone + cost.wait(0.50),
        p99_seconds=alone + cost.wait(0.99),
        cpu_cores=min(rps, 1 / cost.service) * cost.cpu,
        peak_bytes=peak_bytes(profile, rows, calibration),
        utilization=cost.utilization,
        in_flight=rps * cost.residence,
    )


def peak_bytes(profile: Profile, rows: int, calibration: Calibration) -> int:
    """Return the peak resident memory of a server with this model that answers requests of `rows` rows."""
    step = profile.memory.one_row if rows == 1 else profile.memory.runs
    return calibration.server_bytes + step.peak - profile.memory.imported.resident

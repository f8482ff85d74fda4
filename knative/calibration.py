"""
What the server adds to a model's own cost, and how far off predictions were.

Measured with `python -m snooze.knative.calibrate MODELS --rounds 3 --seconds 4`: logistic regression on 30 columns, a
random forest of 200 trees on 16, dense nets on 512 columns (130 KB) and on 256 (10 MB), each with requests of 1 and 16
rows at 20 to 2,000 requests/s, JSON, on two cores of an AMD EPYC (Zen 5) with Python 3.11. The machine did other work
besides: of three rounds the median CPU and the least latency count, and at 2,000 requests/s even that was disturbed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    What the server adds on the machine where Python's fixed piece of work takes `interpreter_seconds`. In seconds:

    `request_seconds` for each request; `value_seconds` for each number in and out, as JSON; after a pause, which
    `cooling_seconds` make, `cold_seconds` and for each byte of the model `cold_byte_seconds`; `path_seconds` between
    client and server on one machine, the client's own part included. `server_bytes` is the server's memory without a
    model.
    """

    interpreter_seconds: float
    request_seconds: float
    value_seconds: float
    cold_seconds: float
    cold_byte_seconds: float
    cooling_seconds: float
    path_seconds: float
    server_bytes: int


@dataclass(frozen=True, slots=True)
class SeenError:
    """How far off predictions were, as fractions of what was measured: the median of all, and the largest."""

    typical: float
    largest: float


MEASURED: Final = Calibration(
    interpreter_seconds=0.0487,
    request_seconds=92.8e-6,
    value_seconds=60.7e-9,
    cold_seconds=476e-6,
    cold_byte_seconds=50e-12,
    cooling_seconds=0.0077,
    path_seconds=271e-6,
    server_bytes=62_390_272,
)

# Each model predicted with constants fitted to the three others, 30 loads. No p99: there, other work decided.
ERRORS: Final[Mapping[str, SeenError]] = {
    "p50_seconds": SeenError(typical=0.25, largest=0.79),
    "cpu_cores": SeenError(typical=0.05, largest=0.21),
    "peak_bytes": SeenError(typical=0.007, largest=0.061),
}

# A line above four measured models (dense nets of 3, 12, 48 and 192 MB): what loading and running adds to a process.
# Only used where a profile carries the model's size but no measured memory.
BETA: Final = 1.4
GAMMA_BYTES: Final = 22_000_000

# What a JSON body takes while it becomes an array, beside the server's memory: 5.0 to 5.6 times its own size, measured
# with bodies of 1 to 15 MiB.
BODY_FACTOR: Final = 6

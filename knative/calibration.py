"""
What the server adds to a model's own cost, and how far off predictions were.

Measured with `python -m snooze.knative.calibrate MODELS`, five rounds, the newest model two: logistic regression on 30
columns, a random forest of 200 trees on 16, dense nets on 512 columns (130 KB), 128 (5 MB) and 256 (10 MB), each with
requests of 1 and 16 rows at 20 to 2,000 requests/s, JSON, on two cores of an AMD EPYC (Zen 5) with Python 3.11. The
machine did other work besides, so latencies, those of the tail above all, are longer than the server made them.
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
    interpreter_seconds=0.0480,
    request_seconds=103.0e-6,
    value_seconds=55.6e-9,
    cold_seconds=462e-6,
    cold_byte_seconds=48e-12,
    cooling_seconds=0.0093,
    path_seconds=202e-6,
    server_bytes=62_260_838,
)

# Each model predicted with constants fitted to the others, 37 loads (of the tail: 29).
ERRORS: Final[Mapping[str, SeenError]] = {
    "p50_seconds": SeenError(typical=0.13, largest=0.83),
    "p99_seconds": SeenError(typical=0.72, largest=0.94),
    "cpu_cores": SeenError(typical=0.075, largest=0.20),
    "peak_bytes": SeenError(typical=0.008, largest=0.057),
}

# A line above four measured models (dense nets of 3, 12, 48 and 192 MB): what loading and running adds to a process.
# Only used where a profile carries the model's size but no measured memory.
BETA: Final = 1.4
GAMMA_BYTES: Final = 22_000_000

# What a JSON body takes while it becomes an array, beside the server's memory: 5.0 to 5.6 times its own size, measured
# with bodies of 1 to 15 MiB.
BODY_FACTOR: Final = 6

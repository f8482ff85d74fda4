"""
What the server adds to a model's own cost, and how far off predictions were.

Measured with `python -m snooze.benchmarks.sizing MODELS --rounds 2 --seconds 4`: logistic regression on 30 columns, a
random forest of 200 trees on 16, dense nets on 512 columns (130 KB), 128 (5 MB) and 256 (10 MB), each with requests of
1 and 16 rows at 20 to 2,000 requests/s, JSON, on two cores of an AMD EPYC (Zen 5) with Python 3.11, nothing else
running. Of resident memory a good half are mapped files, and how many of their pages the kernel maps at once differs
between file systems: the same server showed 62 MB elsewhere on the same machine.
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
    interpreter_seconds=0.0483,
    request_seconds=125.2e-6,
    value_seconds=67.5e-9,
    cold_seconds=556e-6,
    cold_byte_seconds=79e-12,
    cooling_seconds=0.0077,
    path_seconds=285e-6,
    server_bytes=77_379_584,
)

# Each model predicted with constants fitted to the others, 37 loads.
ERRORS: Final[Mapping[str, SeenError]] = {
    "p50_seconds": SeenError(typical=0.12, largest=0.62),
    "p99_seconds": SeenError(typical=0.57, largest=0.78),
    "cpu_cores": SeenError(typical=0.057, largest=0.26),
    "peak_bytes": SeenError(typical=0.01, largest=0.05),
}

# A line above four measured models (dense nets of 3, 12, 48 and 192 MB): what loading and running adds to a process.
# Only used where a profile carries the model's size but no measured memory.
BETA: Final = 1.4
GAMMA_BYTES: Final = 22_000_000

# What a JSON body takes while it becomes an array, beside the server's memory: 5.0 to 5.6 times its own size, measured
# with bodies of 1 to 15 MiB.
BODY_FACTOR: Final = 6

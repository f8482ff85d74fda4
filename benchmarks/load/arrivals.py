"""
When requests are due: fixed before the load begins, so that a slow answer cannot delay the next request.

A closed loop waits for each answer and so offers less just while the server is slow ("coordinated omission"). Here
the schedule is independent of answers, and latency counts from the moment a request was due.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from snooze.bundle.errors import InvalidOption

MAX_USERS: Final = 1000
MAX_REQUESTS: Final = 5_000_000  # all arrivals of a block are drawn before the first is due: 200 MiB of floats
SEED: Final = 20261121


@dataclass(frozen=True, slots=True)
class Pace:
    """The offered rate (requests per second), its duration in seconds, and how many requests (`users`) may be open."""

    rps: float = 50.0
    seconds: float = 20.0
    users: int = 64
    arrivals: str = "poisson"
    seed: int = SEED

    def __post_init__(self) -> None:
        for option, value in (("--rps", self.rps), ("--duration", self.seconds)):
            if not 0 < value < float("inf"):
                raise InvalidOption(option, f"expected a number above 0, got {value:g}")
        requests = self.rps * self.seconds
        if not 1 <= requests <= MAX_REQUESTS:
            problem = f"{self.rps:g} requests/s for {self.seconds:g} s are {requests:g} requests"
            raise InvalidOption("--duration", f"{problem}; expected 1 to {MAX_REQUESTS:,}")
        if not 1 <= self.users <= MAX_USERS:
            raise InvalidOption("--users", f"expected 1 to {MAX_USERS}, got {self.users}")


def schedule(rps: float, block_seconds: float, arrivals: str, seed: int) -> Iterator[float]:
    """
    Yield the times at which requests are due, in seconds after the start, in ascending order; there is no last one.

    Each block of `block_seconds` has exactly as many arrivals as `rps` asks for, so the offered rate of a load of one
    block is exact. Within a block "poisson" draws them uniformly, which is a Poisson process given its count (Kingman,
    Poisson Processes, section 2.4); "constant" spaces them evenly.
    """
    generator = random.Random(seed)
    for block in count():
        begin = block * block_seconds
        number = round(rps * (begin + block_seconds)) - round(rps * begin)
        if arrivals == "poisson":
            yield from sorted(begin + generator.random() * block_seconds for _ in range(number))
        else:
            yield from (begin + index * block_seconds / number for index in range(number))

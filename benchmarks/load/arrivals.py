"""
When requests are due: fixed before the load begins, so that a slow answer cannot delay the next request.

A closed loop waits for each answer and thereby spares the server exactly when it is slow ("coordinated omission").
Here the schedule knows nothing of answers, and latency counts from the moment a request was due.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal, get_args

from snooze.benchmarks.errors import InvalidOption

Arrivals = Literal["poisson", "constant"]
ARRIVALS: Final[tuple[str, ...]] = get_args(Arrivals)

MOST_USERS: Final = 1000
MOST_REQUESTS: Final = 5_000_000  # every arrival of a block is drawn before the first is due: 200 MiB of numbers
SEED: Final = 20261121


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and for how long requests are offered, and how many may be open at the same time (`users`)."""

    rps: float = 50.0
    seconds: float = 20.0
    users: int = 64
    arrivals: Arrivals = "poisson"
    seed: int = SEED

    def __post_init__(self) -> None:
        for name, number in (("--rps", self.rps), ("--duration", self.seconds)):
            if not 0 < number < float("inf"):
                raise InvalidOption(name, number, "a number above zero")
        if self.rps * self.seconds < 1:
            raise InvalidOption("--duration", self.seconds, f"long enough for one request at {self.rps:g} requests/s")
        if self.rps * self.seconds > MOST_REQUESTS:
            most = f"at most {MOST_REQUESTS:,} requests a load, {MOST_REQUESTS / self.seconds:g} a second for"
            raise InvalidOption("--rps", self.rps, f"{most} {self.seconds:g} s")
        if not 1 <= self.users <= MOST_USERS:
            raise InvalidOption("--users", self.users, f"1 to {MOST_USERS}")
        if self.arrivals not in ARRIVALS:
            raise InvalidOption("--arrivals", self.arrivals, " or ".join(ARRIVALS))


def schedule(rps: float, block_seconds: float, arrivals: Arrivals, seed: int) -> Iterator[float]:
    """
    Yield the seconds after the start at which requests are due, ascending, without end.

    Each block of `block_seconds` holds the whole number of arrivals that `rps` asks for, so the offered rate of a
    load of one block is exact. Within a block "poisson" draws them uniformly, which is what a Poisson process is once
    its count is known (Kingman, Poisson Processes, section 2.4); "constant" spaces them evenly.
    """
    draw = random.Random(seed)
    for block in count():
        begin = block * block_seconds
        number = round(rps * (begin + block_seconds)) - round(rps * begin)
        if arrivals == "poisson":
            yield from sorted(begin + draw.random() * block_seconds for _ in range(number))
        else:
            yield from (begin + index * block_seconds / number for index in range(number))

"""
Wakes of several services: in each round every service is woken once, in turn.

The services take turns, so that a change of the machine's speed affects all of them, and while one is woken the others
are on their way to zero. The moment of each request is drawn over more than a second: kubelet looks at its containers
once a second, and requests at a fixed moment would always meet the same part of that second.
"""

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.load.target import RequestOptions
from snooze.benchmarks.progress import show
from snooze.benchmarks.wake import services
from snooze.benchmarks.wake.phases import Exchange, Ledger, split
from snooze.benchmarks.wake.services import WakingService
from snooze.benchmarks.wake.watching import Watching
from snooze.client.errors import ClientError
from snooze.knative.kubectl import Cluster


class Options(NamedTuple):
    """What is woken and how; `zero_seconds` is how long a service may take to have no pod."""

    names: Sequence[str]
    namespace: str
    rounds: int
    request: RequestOptions
    path: str | None
    zero_seconds: float
    skip_drain: bool


class Wake(NamedTuple):
    """A wake: seconds by phase, which sum to `seconds`, those of a warm request, and the server's own ledger."""

    service: str
    phases: dict[str, float]
    warm: float
    ledger: Ledger | None

    @property
    def seconds(self) -> float:
        """Seconds from the request to the complete answer."""
        return sum(self.phases.values())


class Rounds(NamedTuple):
    """The complete rounds, each with a wake of every service in their order, and what went wrong in the others."""

    complete: list[list[Wake]]
    failures: list[str]


def run(options: Options) -> Rounds:
    """
    Wake each service once a round; Ctrl-C ends the rounds, and those that are complete count.

    Raises:
        NotMeasurable: a service does not exist or never scales to zero, or a watch failed.
    """
    cluster = Cluster(options.namespace)
    rounds = Rounds([], [])
    with Watching(cluster, list(options.names)) as watching:
        found = [services.find(cluster, name, options.request, options.path) for name in options.names]
        for service in found:
            services.check(service, watching)
        try:
            for number in range(1, options.rounds + 1):
                _run_round(found, cluster, watching, number, options, rounds)
        except KeyboardInterrupt:  # what was measured may have taken half an hour
            rounds.failures.append(f"stopped by Ctrl-C after {len(rounds.complete)} rounds")
    show("")
    return rounds


def _run_round(
    found: Sequence[WakingService], cluster: Cluster, watching: Watching, number: int, options: Options, rounds: Rounds
) -> None:
    wakes: dict[str, Wake] = {}
    for service in order(found, number, options.rounds):
        show(f"round {number} of {options.rounds}: {service.name}")
        services.bring_to_zero(service, cluster, watching, options.zero_seconds, options.skip_drain)
        try:
            wakes[service.name] = _wake(service, watching)
        except (ClientError, NotMeasurable) as error:
            rounds.failures.append(f"round {number}: {error}")
    if len(wakes) == len(found):
        rounds.complete.append([wakes[service.name] for service in found])


def order(services: Sequence[WakingService], number: int, rounds: int) -> list[WakingService]:
    """
    Return the services in the order of a round (the first is 1): each comes first in its share of the rounds.

    The first of a round waits longest for the end of its last pod, and finds colder caches than those after it. The
    order changes rarely, because the service that moves to the front has to be waited for.
    """
    start = (number - 1) * len(services) // rounds
    return [*services[start:], *services[:start]]


def _wake(service: WakingService, watching: Watching) -> Wake:
    time.sleep(1 + random.random())
    watching.forget()
    exchange: Exchange = service.wake()
    # The ledger is asked for after the news had time to come.
    ledger = service.read_ledger()
    return Wake(service.name, split(exchange, watching.events(service.name), ledger), exchange.warm, ledger)

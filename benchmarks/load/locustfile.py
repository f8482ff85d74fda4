"""
Locust's side of a load test: an open loop at a fixed offered rate against a server of the Open Inference protocol.

`snooze bench load` runs this file for you. It is also a locustfile like any other:

    GEVENT_BACKEND=select locust -f locustfile.py --host http://127.0.0.1:8080 --rps 200 --data rows.csv -u 64 -r 64

Without `--headless` the rate and all else can be set on Locust's own page. The offered rate is `--rps` whatever the
number of users; a user is one connection, so `-u` says how many requests may be open at the same time.
"""

import json
import logging
import os
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from locust import User, events
from locust.exception import StopTest, StopUser

from snooze.benchmarks.errors import BenchmarkError
from snooze.benchmarks.load.arrivals import ARRIVALS, SEED, Pace, schedule
from snooze.benchmarks.load.callers import Load
from snooze.benchmarks.load.outcomes import Outcome
from snooze.benchmarks.load.payloads import PROTOCOLS
from snooze.benchmarks.load.target import Target, Wanted, prepare, try_once

BLOCK_SECONDS: Final = 60.0
MOST_DRAIN_SECONDS: Final = 35.0  # longer than a caller's patience with one answer


def options(parser: ArgumentParser) -> None:
    """Add the options of the load to Locust's own."""
    parser.add_argument("--rps", type=float, default=50.0, help="offered rate, requests per second")
    parser.add_argument("--model", default="", help="model to call; needed where the server has several")
    parser.add_argument("--data", default="", help="rows: .npz, .npy, .csv, .jsonl or a bundle's folder")
    parser.add_argument("--label", default="", help="column of --data that is not an input")
    parser.add_argument("--row", action="append", default=[], help="one row: numbers with commas, or a JSON array")
    parser.add_argument("--rows", type=int, default=1, help="rows in one request")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="v2", help="Open Inference, or the plain /predict")
    parser.add_argument("--binary", action="store_true", help="binary tensors instead of JSON")
    parser.add_argument("--arrivals", choices=ARRIVALS, default="poisson", help="how arrivals are spread")
    parser.add_argument("--seconds", type=float, default=0.0, help="length of the load; 0: until it is stopped")
    parser.add_argument("--seed", type=int, default=SEED, help="of the arrival times")
    parser.add_argument("--record", default="", help="write each request's times to this .npz")


class Caller(User):  # type: ignore[misc]  # Locust's types are not followed
    """One connection's worth of load; all callers share one schedule."""

    def on_start(self) -> None:
        """Find the load that all callers share."""
        self.load: Load = self.environment.snooze_load

    def call(self) -> None:
        """Send what is due until nothing more is, and tell Locust of each answer."""
        self.load.call(self._report)
        raise StopUser

    tasks: Final = [call]

    def _report(self, latency: float, outcome: Outcome, length: int, problem: str) -> None:
        self.environment.events.request.fire(
            request_type="POST",
            name=self.environment.snooze_target.path,
            response_time=latency * 1000,
            response_length=length,
            exception=None if outcome is Outcome.ANSWERED else RuntimeError(f"{outcome.name.lower()}: {problem}"),
            context={},
        )


def start(environment: Any, **_: Any) -> None:
    """Prepare the load when a test starts, and end the test with one line if that is not possible."""
    chosen = environment.parsed_options
    try:
        target = prepare(environment.host or "", _wanted(chosen))
        load = _load(chosen, target, environment.runner)
        try_once(target)
    except BenchmarkError as error:
        logging.error("snooze: %s", error)
        if environment.web_ui is None:
            raise SystemExit(error.exit_code) from None
        raise StopTest from None  # the page stays, for another try
    environment.snooze_target = target
    environment.snooze_load = load


def begin(environment: Any) -> None:
    """Start the schedule once every caller is there, and watch over it."""
    load: Load = environment.snooze_load
    load.warm_up()
    load.begin()
    if environment.parsed_options.seconds:
        environment.runner.greenlet.spawn(_watch, environment, load)


def _wanted(chosen: Any) -> Wanted:
    return Wanted(
        model=chosen.model or None,
        data=Path(chosen.data) if chosen.data else None,
        row=tuple(chosen.row),
        label=chosen.label or None,
        rows=chosen.rows,
        protocol=chosen.protocol,
        binary=chosen.binary,
    )


def _load(chosen: Any, target: Target, runner: Any) -> Load:
    seconds = chosen.seconds or None
    pace = Pace(chosen.rps, seconds or BLOCK_SECONDS, runner.target_user_count, chosen.arrivals, chosen.seed)
    arrivals = schedule(pace.rps, pace.seconds, pace.arrivals, pace.seed)
    return Load(target, arrivals, seconds, pace.users)


def _watch(environment: Any, load: Load) -> None:
    """Tell each second how far the load is; when all answers are in, write the record and end Locust."""
    try:
        _tell(event="begin")
        _wait(load, environment.parsed_options.seconds + MOST_DRAIN_SECONDS)
        _tell(event="end")
        if environment.parsed_options.record:
            load.record().write(Path(environment.parsed_options.record))
    finally:  # also when whoever listened has died, and the pipe with it
        environment.runner.quit()


def _wait(load: Load, longest: float) -> None:
    told = 0.0
    while not load.over() or (load.open and load.now() < longest):
        time.sleep(0.05)
        if load.now() - told >= 1:
            told = load.now()
            _tell(event="progress", **load.progress())


def _tell(**what: Any) -> None:
    """Write one line of JSON for the process that started this one, if one did."""
    channel = os.environ.get("SNOOZE_LOAD_CHANNEL")
    if channel:
        os.write(int(channel), json.dumps(what).encode() + b"\n")


def _stop(environment: Any, **_: Any) -> None:
    if environment.snooze_load is not None:
        environment.snooze_load.stopped = True


def _set_up(environment: Any, **_: Any) -> None:
    _wait_exactly()
    environment.snooze_load = None
    # A listener added only now runs after Locust's own, which has by then set the state to running.
    environment.events.spawning_complete.add_listener(lambda **__: begin(environment))


def _wait_exactly() -> None:
    """Make waits end on time as far as that is possible from within, and say what the user has to do for the rest."""
    slack = Path("/proc/self/timerslack_ns")
    if slack.exists():
        slack.write_text("1")  # the kernel's default lets every wait end up to 50 us late
    if sys.platform == "linux" and os.environ.get("GEVENT_BACKEND", "epoll") == "epoll":
        logging.warning("waits are rounded up to whole milliseconds; set GEVENT_BACKEND=select for exact ones")


events.init_command_line_parser.add_listener(options)
events.init.add_listener(_set_up)
events.test_start.add_listener(start)
events.test_stopping.add_listener(_stop)

"""
Locust's side of a load test: an open loop at a fixed rate against a server of the Open Inference protocol.

`snooze bench load` runs this file. It is also an ordinary locustfile:

    GEVENT_BACKEND=select locust -f locustfile.py --host http://127.0.0.1:8080 --rps 200 --data rows.csv -u 64 -r 64

Without `--headless` all options can be set on Locust's page. The offered rate is `--rps` whatever the number of users;
a user is one connection, so `-u` is the number of requests that may be open at the same time.
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

from snooze.benchmarks.cli import pace_arguments, request_arguments
from snooze.benchmarks.load.arrivals import SEED, Pace, schedule
from snooze.benchmarks.load.callers import ANSWER_SECONDS, Load
from snooze.benchmarks.load.outcomes import Outcome
from snooze.benchmarks.load.target import RequestOptions, Target, prepare, send_once
from snooze.bundle.errors import SnoozeError

BLOCK_SECONDS: Final = 60.0
MAX_DRAIN_SECONDS: Final = ANSWER_SECONDS + 5


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the load to Locust's own."""
    request_arguments(parser)
    pace_arguments(parser)
    parser.add_argument("--seconds", type=float, default=0.0, help="length of the load; 0: until it is stopped")
    parser.add_argument("--seed", type=int, default=SEED, help="of the arrival times")
    parser.add_argument("--record", default="", help="write each request's times to this .npz")


class Caller(User):  # type: ignore[misc]  # Locust's types are not followed
    """One connection; all callers share one schedule."""

    def on_start(self) -> None:
        """Take the load that all callers share."""
        self.load: Load = self.environment.snooze_load

    def call(self) -> None:
        """Send requests until the load ends, and report each to Locust."""
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
    """Prepare the load when a test starts; end the test with one line if that is not possible."""
    chosen = environment.parsed_options
    try:
        target = prepare(environment.host or "", RequestOptions.of(chosen))
        load = _load(chosen, target, environment.runner)
        send_once(target)
    except SnoozeError as error:
        logging.error("snooze: %s", error)
        if environment.web_ui is None:
            raise SystemExit(error.exit_code) from None
        raise StopTest from None  # the page stays, for another try
    environment.snooze_target = target
    environment.snooze_load = load


def begin(environment: Any) -> None:
    """Start the schedule when all callers exist, and watch it."""
    load: Load = environment.snooze_load
    load.warm_up()
    load.begin()
    if environment.parsed_options.seconds:
        environment.runner.greenlet.spawn(_watch, environment, load)


def _load(chosen: Any, target: Target, runner: Any) -> Load:
    seconds = chosen.seconds or None
    pace = Pace(chosen.rps, seconds or BLOCK_SECONDS, runner.target_user_count, chosen.arrivals, chosen.seed)
    arrivals = schedule(pace.rps, pace.seconds, pace.arrivals, pace.seed)
    return Load(target, arrivals, seconds, pace.users)


def _watch(environment: Any, load: Load) -> None:
    """Report the progress each second; when all answers are in, write the record and end Locust."""
    try:
        _send_event(event="begin")
        _wait(load, environment.parsed_options.seconds + MAX_DRAIN_SECONDS)
        _send_event(event="end")
        if environment.parsed_options.record:
            load.record().write(Path(environment.parsed_options.record))
    finally:  # also when the process that reads the pipe has ended
        environment.runner.quit()


def _wait(load: Load, longest: float) -> None:
    reported = 0.0
    while not load.over() or (load.open and load.now() < longest):
        time.sleep(0.05)
        if load.now() - reported >= 1:
            reported = load.now()
            _send_event(event="progress", **load.progress())


def _send_event(**event: Any) -> None:
    """Write one line of JSON for the process that started this one, if there is one."""
    channel = os.environ.get("SNOOZE_LOAD_CHANNEL")
    if channel:
        os.write(int(channel), json.dumps(event).encode() + b"\n")


def _stop(environment: Any, **_: Any) -> None:
    if environment.snooze_load is not None:
        environment.snooze_load.stopped = True


def _set_up(environment: Any, **_: Any) -> None:
    _wait_exactly()
    environment.snooze_load = None
    # A listener that is added here runs after Locust's own, which sets the state to running.
    environment.events.spawning_complete.add_listener(lambda **__: begin(environment))


def _wait_exactly() -> None:
    """Make waits end on time as far as this process can, and log what the user has to do for the rest."""
    slack = Path("/proc/self/timerslack_ns")
    if slack.exists():
        slack.write_text("1")  # by default the kernel ends waits up to 50 µs late
    if sys.platform == "linux" and os.environ.get("GEVENT_BACKEND", "epoll") == "epoll":
        logging.warning("waits are rounded up to whole milliseconds; set GEVENT_BACKEND=select for exact ones")


events.init_command_line_parser.add_listener(add_arguments)
events.init.add_listener(_set_up)
events.test_start.add_listener(start)
events.test_stopping.add_listener(_stop)

"""
The load generator as a process of its own: Locust replaces the blocking parts of the standard library.

It reports the begin, the progress and the end of the load as lines of JSON on a pipe, and writes its record to a file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from snooze.benchmarks.errors import LoadFailed
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.outcomes import Record
from snooze.benchmarks.load.target import RequestOptions, Target
from snooze.benchmarks.meters import Watch
from snooze.bundle.errors import MissingExtra

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
SIGNALS: Final = {signal.SIGINT, signal.SIGTERM}
SPAWN_RATE: Final = 100  # above it Locust warns

Progress = Callable[[Mapping[str, Any]], None]


def require_locust() -> None:
    """Raise MissingExtra if Locust is not installed."""
    if find_spec("locust") is None:
        raise MissingExtra("locust", "bench")


def drive(target: Target, options: RequestOptions, pace: Pace, watch: Watch, progress: Progress | None) -> Record:
    """Run Locust to its end, start and stop `watch` with the load, and return the record."""
    with tempfile.TemporaryDirectory(prefix="snooze-load-") as folder:
        file, log = Path(folder, "record.npz"), Path(folder, "log")
        command = [sys.executable, "-m", "locust", "--headless", "-f", str(LOCUSTFILE), f"--users={pace.users}"]
        command += [f"--spawn-rate={min(pace.users, SPAWN_RATE)}", "--only-summary", "--exit-code-on-error=0"]
        command += ["--loglevel=ERROR", *_options(target, options, pace), f"--record={file}"]
        with _start(command, log) as events:
            for event in events:
                if event["event"] == "begin":
                    watch.begin()
                elif event["event"] == "end":
                    watch.end()
                elif progress:
                    progress(event)
        if not file.exists():
            lines = log.read_text("utf-8", "replace").split("\n")
            raise LoadFailed(next((line for line in reversed(lines) if line.strip()), "it printed nothing"))
        return Record.read(file)


def _options(target: Target, options: RequestOptions, pace: Pace) -> list[str]:
    """Return the options of the locustfile that make it prepare the same target again."""
    given = asdict(options) | asdict(pace) | {"host": target.model.address.url, "model": target.model.name}
    rows, binary, _ = given.pop("row"), given.pop("binary"), given.pop("users")
    return [*(f"--{name}={value}" for name, value in given.items()), *(f"--row={row}" for row in rows)] + (
        ["--binary"] if binary else []
    )


@contextmanager
def _start(command: list[str], log: Path) -> Iterator[Iterator[Any]]:
    """Start the generator and yield its events until it ends. It never outlives the block."""
    reading, writing = os.pipe()
    # With epoll, libev rounds every wait up to a whole millisecond, which is longer than many answers take.
    environment = os.environ | {"GEVENT_BACKEND": "select", "SNOOZE_LOAD_CHANNEL": str(writing)}
    with os.fdopen(reading, "rb") as channel, log.open("wb") as sink:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one before `generator` is known would leave it running
        try:
            generator = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                pass_fds=(writing,),
                process_group=0,  # Ctrl-C reaches only this process, which then ends the generator
            )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            raise
        finally:
            os.close(writing)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            yield map(json.loads, channel)
            generator.wait()
        finally:
            generator.kill()
            generator.wait()

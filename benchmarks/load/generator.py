"""
The load generator as a process of its own: Locust replaces the blocking parts of the standard library for all of it.

It tells of the begin and end of the load, and of its progress, in lines of JSON on a pipe; its record is a file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from snooze.benchmarks.errors import LoadFailed, MissingTool
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.outcomes import Record
from snooze.benchmarks.load.target import Target, Wanted
from snooze.benchmarks.meters import Watch

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
ENDS: Final = {signal.SIGINT, signal.SIGTERM}
SPAWN_RATE: Final = 100  # above it Locust warns

Progress = Callable[[Mapping[str, Any]], None]


def check() -> None:
    """
    Raises:
        MissingTool: Locust is not installed.
    """
    if find_spec("locust") is None:
        raise MissingTool("locust", "pip install 'snooze[bench]'")


def drive(target: Target, wanted: Wanted, pace: Pace, watch: Watch, progress: Progress | None) -> Record:
    """
    Run Locust to its end, telling `watch` when the load begins and ends, and return what it recorded.

    Raises:
        LoadFailed: it ended without a record.
    """
    with tempfile.TemporaryDirectory(prefix="snooze-load-") as folder:
        file, log = Path(folder, "record.npz"), Path(folder, "log")
        command = [sys.executable, "-m", "locust", "--headless", "-f", str(LOCUSTFILE), f"--users={pace.users}"]
        command += [f"--spawn-rate={min(pace.users, SPAWN_RATE)}", "--only-summary", "--exit-code-on-error=0"]
        command += ["--loglevel=ERROR", *_options(target, wanted, pace), f"--record={file}"]
        with _started(command, log) as events:
            for event in events:
                if event["event"] == "begin":
                    watch.begin()
                elif event["event"] == "end":
                    watch.end()
                elif progress:
                    progress(event)
        if not file.exists():
            lines = log.read_text("utf-8", "replace").split("\n")
            raise LoadFailed(next((line for line in reversed(lines) if line.strip()), "it said nothing"))
        return Record.read(file)


def _options(target: Target, wanted: Wanted, pace: Pace) -> list[str]:
    """Return the options of the locustfile that make it prepare the same target again."""
    given = {
        "host": target.address.url,
        "model": target.model,
        "data": wanted.data,
        "label": wanted.label,
        "rows": wanted.rows,
        "protocol": wanted.protocol,
        "rps": pace.rps,
        "seconds": pace.seconds,
        "arrivals": pace.arrivals,
        "seed": pace.seed,
    }
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    options += [f"--row={row}" for row in wanted.row]
    return [*options, "--binary"] if wanted.binary else options


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[Iterator[Any]]:
    """Start the generator and yield the events it tells until its end. It never outlives the block."""
    reading, writing = os.pipe()
    # With epoll, libev rounds every wait up to a whole millisecond, which is longer than many an answer takes.
    environment = os.environ | {"GEVENT_BACKEND": "select", "SNOOZE_LOAD_CHANNEL": str(writing)}
    with os.fdopen(reading, "rb") as channel, log.open("wb") as sink:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # one that comes before we know the generator would orphan it
        try:
            generator = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                pass_fds=(writing,),
                process_group=0,  # Ctrl-C is for this process, which then ends the generator
            )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
            raise
        finally:
            os.close(writing)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
            yield map(json.loads, channel)
            generator.wait()
        finally:
            generator.kill()
            generator.wait()

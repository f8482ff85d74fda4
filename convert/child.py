"""
Converts a model file in a child process, whose memory and time are watched: what crashes there, or never ends, is an
error here.

Limits on the address space would break TensorFlow, so the resident memory is measured instead, ten times a second.
"""

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from snooze.bundle.codec import document, read
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import SnoozeError
from snooze.bundle.units import format_duration, format_size
from snooze.convert.build import Job, Progress
from snooze.convert.environment import child_environment
from snooze.convert.errors import Interrupted
from snooze.convert.frameworks.interface import first_line

INTERVAL: Final = 0.1  # seconds between two looks at the child
SHARE_OF_AVAILABLE: Final = 0.8  # of the machine's memory, if no limit is given
JOB: Final = "child.job"


def build(job: Job, folder: Path, work: Path, step: Progress) -> Bundle:
    """
    Do what `snooze.convert.build.build` does, in a child process. Raises Interrupted if it does not finish.

    The child is killed even where it has finished, so its temporary files are in `work` as well.
    """
    (work / JOB).write_bytes(pickle.dumps(job))
    receiver, sender = os.pipe()
    command = [sys.executable, "-P", "-m", "snooze.convert.child", str(folder), str(work), str(sender)]
    with (
        os.fdopen(receiver, "rb") as messages,
        subprocess.Popen(  # a process group of its own, which ends as a whole
            command, env=child_environment() | {"TMPDIR": str(work)}, pass_fds=[sender], start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as child,
    ):  # fmt: skip
        os.close(sender)
        try:
            return _listen(child, messages, job, step)
        finally:
            with suppress(ProcessLookupError):  # all of the group has ended
                os.killpg(child.pid, signal.SIGKILL)


def _listen(child: "subprocess.Popen[bytes]", messages: IO[bytes], job: Job, step: Progress) -> Bundle:
    """Return the bundle that the child reports, or raise the error that ended it."""
    limit = job.options.max_memory or int(SHARE_OF_AVAILABLE * _read_kib(Path("/proc/meminfo"), "MemAvailable"))
    end = time.monotonic() + job.options.max_time
    current = "starting"
    for line in _lines(messages):
        if line is None:
            if _read_kib(Path(f"/proc/{child.pid}/status"), "VmRSS") > limit:
                raise Interrupted(current, f"it needs more than {format_size(limit)} of memory; raise --max-memory")
            if time.monotonic() > end:
                allowed = format_duration(job.options.max_time)
                raise Interrupted(current, f"the conversion took more than {allowed}; raise --max-time")
            continue
        (kind, content), *_ = json.loads(line).items()
        if kind == "bundle":
            return read(Bundle, content, "")
        if kind == "error":
            raise _restore(*content)
        if kind == "system":
            raise OSError(*content)
        if kind == "defect":
            raise Interrupted(current, f"{content}; please report it with the model")
        current = content
        step(content)
    code = child.wait()
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise Interrupted(current, f"the process ended with {reason}, as native code does with a damaged model")


def _lines(messages: IO[bytes]) -> Iterator[bytes | None]:
    """Yield the lines that the child writes, and None whenever there is none for a while."""
    os.set_blocking(messages.fileno(), False)
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ)
        while True:
            if not selector.select(INTERVAL):
                yield None
                continue
            read = messages.read()
            if not read:
                return
            *lines, pending = (pending + read).split(b"\n")
            yield from lines


def _read_kib(path: Path, field: str) -> int:
    """Return a figure of /proc in bytes, 0 if it is not there, as for a process that has ended."""
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def _restore(name: str, message: str, facts: dict[str, Any]) -> SnoozeError:
    """Return an error as the child raised it. Paths among its attributes come as text."""
    import snooze.convert.errors  # noqa: F401 - every class that may come is known by now

    kinds: list[type[SnoozeError]] = [SnoozeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    kind = next(kind for kind in kinds if kind.__name__ == name)
    error = kind.__new__(kind, message)
    error.__dict__.update(facts)
    return error


def main(folder: str, work: str, sender: str) -> None:
    """Convert the job of the parent, and report each step and the result as lines of JSON."""
    from snooze.convert.build import build

    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(int(sender), "w", encoding="utf-8") as messages:

        def report(**message: object) -> None:
            print(json.dumps(message, default=str), file=messages, flush=True)

        try:
            job = pickle.loads((Path(work) / JOB).read_bytes())  # noqa: S301 - the parent has just written it
            bundle = build(job, Path(folder), Path(work), lambda text: report(step=text))
            report(bundle=document(bundle))
        except SnoozeError as error:
            report(error=[type(error).__name__, str(error), vars(error)])
        except OSError as error:
            report(system=[error.errno, error.strerror, error.filename])
        except Exception as error:
            report(defect=f"{type(error).__name__}: {first_line(error)}")


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the parent has ended
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])

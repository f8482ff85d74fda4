"""
A server within the limits of its image: a control group with a memory limit and no swap, no capabilities, and a
read-only file system. It needs root and nothing else: no container runtime and no image.
"""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

from snooze.benchmarks.errors import NotMeasurable

ROOT: Final = Path("/sys/fs/cgroup")
PROGRAMS: Final = ("unshare", "setpriv", "mount")
SAMPLE_SECONDS: Final = 0.02
NOT_POSSIBLE: Final = "a confined server"

# $1 is the control group, $2 where a container would find its own; the rest is the command. Each step replaces the one
# before, so the process keeps its id.
ENTER: Final = """\
set -e
echo $$ > "$1/cgroup.procs"
mount --bind "$1" "$2"
while read -r _ point _; do mount -o remount,bind,ro "$point" 2>/dev/null || true; done < /proc/self/mounts
shift 2
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


class Files(NamedTuple):
    """
    The names that one version of control groups has for the same things; `limits` are set in this order.

    A name with a colon is a file and a field of it. Version 1 counts the buffers of sockets only where they have a
    limit of their own, and not as memory of the group; version 2 counts them as memory.
    """

    limits: tuple[str, ...]
    peak: str
    kills: str
    anonymous: str
    sockets: str


VERSION_1: Final = Files(
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"),
    "memory.max_usage_in_bytes",
    "memory.oom_control:oom_kill",
    "memory.stat:rss",
    "memory.kmem.tcp.usage_in_bytes",
)
VERSION_2: Final = Files(
    ("memory.max",), "memory.peak", "memory.events:oom_kill", "memory.stat:anon", "memory.stat:sock"
)


class Confinement(NamedTuple):
    """A control group of our own. `mount_point` is where a process inside expects it."""

    folder: Path
    mount_point: Path
    files: Files

    def enter(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the command that runs `command` within the limits."""
        return ("unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.folder), str(self.mount_point), *command)

    def peak_bytes(self) -> int:
        """Return the largest memory of the group so far, with its page cache."""
        return self._read(self.files.peak)

    def anonymous_bytes(self) -> int:
        """Return the present anonymous memory."""
        return self._read(self.files.anonymous)

    def socket_bytes(self) -> int:
        """Return the present memory of the kernel for what is sent and not read."""
        return self._read(self.files.sockets)

    def kills(self) -> int:
        """Return how many processes of the group the kernel has killed for lack of memory."""
        return self._read(self.files.kills)

    def _read(self, name: str) -> int:
        file, _, field = name.partition(":")
        text = (self.folder / file).read_text()
        return int(dict(line.split() for line in text.splitlines())[field] if field else text)


class Sampler:
    """A thread that notes the largest anonymous memory and socket memory of a group while it is entered."""

    def __init__(self, group: Confinement) -> None:
        self.anonymous = 0
        self.sockets = 0
        self._group = group
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, self._group.anonymous_bytes())
            self.sockets = max(self.sockets, self._group.socket_bytes())
            if self._end.wait(SAMPLE_SECONDS):
                return


@contextmanager
def confine(limit: int, root: Path = ROOT) -> Iterator[Confinement]:
    """
    Make a control group of at most `limit` bytes, without swap; its processes have to end before this does.

    Raises:
        NotMeasurable: this user or this kernel does not allow it.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NotMeasurable(NOT_POSSIBLE, f"'{missing[0]}' is not installed; run: apt-get install util-linux")
    version_2 = "memory" in _read(root / "cgroup.subtree_control").split()
    mount_point, files = (root, VERSION_2) if version_2 else (root / "memory", VERSION_1)
    try:
        folder = Path(tempfile.mkdtemp(prefix="snooze-", dir=mount_point))
    except OSError as error:
        raise NotMeasurable(NOT_POSSIBLE, f"cannot make a control group in {mount_point}: {error.strerror}") from None
    try:
        confinement = Confinement(folder, mount_point, files)
        _limit(confinement, limit)
        yield confinement
    finally:
        folder.rmdir()


def _limit(confinement: Confinement, limit: int) -> None:
    try:
        for name in confinement.files.limits:
            _write(confinement.folder / name, str(limit))
        swap = confinement.folder / "memory.swap.max"
        if swap.exists():
            _write(swap, "0")
    except OSError as error:
        raise NotMeasurable(NOT_POSSIBLE, f"cannot limit the memory of a control group: {error.strerror}") from None
    tried = subprocess.run(confinement.enter(["true"]), capture_output=True, text=True)
    if tried.returncode:
        raise NotMeasurable(NOT_POSSIBLE, f"it cannot be started: {tried.stderr.strip().splitlines()[-1]}")


def _write(path: Path, text: str) -> None:
    """Write to a file of the kernel; one that does not exist is an error."""
    with path.open("r+") as file:
        file.write(text)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

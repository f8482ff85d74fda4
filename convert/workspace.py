"""The temporary folder of a conversion, outside the repository, and the error if it has no space."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from snooze.bundle.errors import SnoozeError
from snooze.convert.errors import Interrupted, NoWorkspace

MIN_FREE_BYTES: Final = 1024 * 1024  # a folder with less is considered full
FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def workspace() -> Iterator[Path]:
    """Create a temporary folder and remove it at the end. Raises NoWorkspace, also if work fails for lack of space."""
    try:
        folder = TemporaryDirectory(prefix="snooze-convert-")
    except OSError as error:
        parent = Path(error.filename).parent if error.filename else os.environ.get("TMPDIR", "of this system")
        raise NoWorkspace(str(parent), error.strerror or str(error)) from None
    with folder as name:
        try:
            yield Path(name)
        except Exception as error:
            if isinstance(error, SnoozeError) and not isinstance(error, Interrupted):
                raise
            # Native code that cannot write rarely says that there is no space.
            reason = _find_shortage(Path(name))
            if reason is None:
                raise
            raise NoWorkspace(tempfile.gettempdir(), reason) from None


def _find_shortage(folder: Path) -> str | None:
    """Return the system's message if there is no space in a folder, otherwise None."""
    try:
        with (folder / "space").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, MIN_FREE_BYTES)
    except OSError as error:
        return error.strerror if error.errno in FULL else None
    return None

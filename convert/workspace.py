"""The folder that a conversion works in, away from the repository, and what is said when that has no room."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from snooze.bundle.errors import BundleError
from snooze.convert.errors import ConversionError, NoWorkspace

ROOM: Final = 1024 * 1024  # bytes without which a folder is taken for full
FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def workspace() -> Iterator[Path]:
    """
    Make a temporary folder and remove it at the end.

    Raises:
        NoWorkspace: it cannot be made; or what went wrong in here did so when it was full.
    """
    try:
        folder = TemporaryDirectory(prefix="snooze-convert-")
    except OSError as error:
        place: object = (
            Path(error.filename).parent if error.filename else os.environ.get("TMPDIR", "that was looked for")
        )
        raise NoWorkspace(str(place), error.strerror or str(error)) from None
    with folder as name:
        try:
            yield Path(name)
        except (ConversionError, BundleError):
            raise
        except Exception:  # native code that cannot write says anything, seldom that there is no space
            reason = _full(Path(name))
            if reason is None:
                raise
            raise NoWorkspace(tempfile.gettempdir(), reason) from None


def _full(folder: Path) -> str | None:
    """Return what the system says if there is no room in a folder."""
    try:
        with (folder / "room").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, ROOM)
    except OSError as error:
        return error.strerror if error.errno in FULL else None
    return None

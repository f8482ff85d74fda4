"""
Writing a bundle so that nobody ever sees half of one.

A draft is a hidden folder beside the versions of its model. It is renamed to the next free number when all its files
are on the disk, which either happens or does not. Its writer holds a lock on it: a draft without one is an orphan of a
process that was killed, and the next writer removes it.
"""

import errno
import fcntl
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

from snooze.bundle import names
from snooze.bundle.codec import CONTRACT, decode, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import NotWritten
from snooze.bundle.fields import LARGEST_WHOLE
from snooze.bundle.store import sha256

PREFIX: Final = ".draft-"
DISK_FAULTS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
MOST_ATTEMPTS: Final = 100


class Draft:
    """
    A bundle that is being written: `with Draft(repository, name) as draft:` fill `draft.folder`, then `draft.publish`.

    Whatever ends it before `publish` has returned leaves nothing visible, the folders made for it included.
    """

    def __init__(self, repository: Path, name: str) -> None:
        if not names.is_model_name(name):
            raise NotWritten(repository, f"a model's name is {names.MODEL_NAME}; got {name!r}")
        self.model = repository / name
        self.folder = self.model  # until entered
        self._lock = -1
        self._made: list[Path] = []

    def __enter__(self) -> "Draft":
        try:
            self._open()
            self._remove_orphans()
        except OSError as error:
            self._forget()
            raise NotWritten(self.model, _why(error)) from None
        except BaseException:  # Ctrl-C
            self._forget()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._forget()
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            raise NotWritten(self.model, _why(error)) from None

    def publish(self, bundle: Bundle) -> Path:
        """
        Make the draft the next version of its model and return its folder.

        The bundle's `name`, `version` and `files` are filled in here: every file of the draft is hashed, listed, made
        readable for everybody (the image runs as another user) and written through to the disk.

        Raises:
            InvalidContract: the bundle is not one that could be read again.
            NotWritten: no space, no permission, or something that a bundle cannot hold.
        """
        try:
            files = {path.name: self._seal(path) for path in sorted(self.folder.iterdir())}
            return self._rename(replace(bundle, name=self.model.name, files=files))
        except OSError as error:
            raise NotWritten(self.model, _why(error)) from None

    def _seal(self, path: Path) -> str:
        """Make a file of the draft final and return its hash."""
        if not names.is_file_name(path.name) or path.name == CONTRACT:
            raise NotWritten(self.model, f"a bundle holds no file named {path.name!r}")
        if not stat.S_ISREG(path.lstat().st_mode):
            raise NotWritten(self.model, f"a bundle holds plain files only, and {path.name!r} is none")
        path.chmod(0o644)
        _sync(path)
        return sha256(path)

    def _rename(self, bundle: Bundle) -> Path:
        """Take the first free number. Whoever renames first has it: a folder that is not empty is never replaced."""
        number = self._highest()
        while True:
            number += 1
            text = encode(replace(bundle, version=number))
            decode(text)  # what could not be read again must not be published
            contract = self.folder / CONTRACT
            contract.write_text(text, "utf-8")
            contract.chmod(0o644)
            self.folder.chmod(0o755)
            _sync(contract)
            _sync(self.folder)
            target = self.model / str(number)
            try:
                self.folder.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                continue
            self._made.clear()
            _sync(self.model)
            return target

    def _highest(self) -> int:
        entries = (entry.name for entry in self.model.iterdir())
        numbers = (int(name) for name in entries if name.isascii() and name.isdigit())
        return max((number for number in numbers if number < LARGEST_WHOLE), default=0)

    def _open(self) -> None:
        """Make the draft's folder and hold its lock, which tells others that its writer lives."""
        for attempt in range(MOST_ATTEMPTS):
            try:
                self._make_parents()
                self.folder = self.model / f"{PREFIX}{os.urandom(8).hex()}"  # known before it exists: Ctrl-C may come
                self.folder.mkdir(0o700)
                self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            except FileNotFoundError:  # another writer took the draft for an orphan, or cleared the model's folder away
                if attempt == MOST_ATTEMPTS - 1:  # or nobody may make a folder there at all
                    raise
                continue
            if self.folder.exists():
                return
            os.close(self._lock)
            self._lock = -1
        raise NotWritten(self.model, "its folder is removed again and again by somebody else")

    def _make_parents(self) -> None:
        for folder in (*reversed(self.model.parents), self.model):
            if not folder.exists():
                self._made.append(folder)
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)

    def _remove_orphans(self) -> None:
        for orphan in self.model.glob(f"{PREFIX}*"):
            try:
                lock = os.open(orphan, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(orphan, ignore_errors=True)
            except OSError:
                pass  # its writer lives
            finally:
                os.close(lock)

    def _forget(self) -> None:
        if self.folder.name.startswith(PREFIX):
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                break  # somebody else uses it by now
        self._made.clear()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: OSError) -> str:
    return f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")

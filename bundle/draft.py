"""
Write a bundle so that nobody ever sees half of one.

A draft is a hidden folder beside the versions of its model. It is renamed to the next free number when all its files
are on the disk, which either happens or does not. A draft in which nothing changed for a day was left behind by a
process that was killed, and the next writer removes it.
"""

import errno
import os
import shutil
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from snooze.bundle import names
from snooze.bundle.codec import CONTRACT, decode, encode
from snooze.bundle.contract import MAX_INTEGER, Bundle
from snooze.bundle.errors import NotWritten
from snooze.bundle.evidence import read_evidence, read_profile
from snooze.bundle.store import sha256

PREFIX: Final = ".draft-"
ABANDONED_SECONDS: Final = 86_400
DISK_FAULTS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Draft:
    """
    A bundle that is being written: `with Draft(repository, name) as draft:` fill `draft.folder`, then `draft.publish`.

    Whatever ends it before `publish` has returned leaves nothing visible, and no folder that was created for it.
    """

    def __init__(self, repository: Path, name: str) -> None:
        if not names.is_model_name(name):
            raise NotWritten(repository, f"expected a model name of {names.MODEL_NAME.expected}, got {name!r}")
        self.model = repository / name
        self.folder = self.model / f"{PREFIX}{os.urandom(8).hex()}"
        self._created: list[Path] = []

    def __enter__(self) -> "Draft":
        try:
            for folder in (*reversed(self.model.parents), self.model):
                if not folder.exists():
                    self._created.append(folder)
                    folder.mkdir(exist_ok=True)
                    folder.chmod(0o755)
            self.folder.mkdir(0o700)
            self._remove_abandoned()
        except BaseException as error:  # Ctrl-C as well
            self._discard()
            if isinstance(error, OSError):
                raise NotWritten(self.model, _describe(error)) from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._discard()
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            raise NotWritten(self.model, _describe(error)) from None

    def touch(self) -> None:
        """Show that the draft is still in use, although none of its files changes."""
        os.utime(self.folder)

    def publish(self, bundle: Bundle) -> Path:
        """
        Make the draft the next version of its model and return its folder.

        The bundle's `name`, `version` and `files` are filled in here: every file of the draft is hashed, listed, made
        readable for everybody (the image runs as another user) and written through to the disk.

        Raises:
            InvalidContract: the bundle could not be read again.
            NotWritten: no space, no permission, or a file that a bundle cannot contain.
        """
        try:
            files = {path.name: self._seal(path) for path in sorted(self.folder.iterdir())}
            return self._rename(bundle._replace(name=self.model.name, files=files))
        except OSError as error:
            raise NotWritten(self.model, _describe(error)) from None

    def _seal(self, path: Path) -> str:
        """Make a file of the draft final and return its hash."""
        if not names.is_file_name(path.name):
            raise NotWritten(self.model, f"a bundle cannot contain a file named {path.name!r}")
        if not stat.S_ISREG(path.lstat().st_mode):
            raise NotWritten(self.model, f"a bundle contains regular files only, and {path.name!r} is not one")
        path.chmod(0o644)
        _sync(path)
        return sha256(path)

    def _rename(self, bundle: Bundle) -> Path:
        """Take the first free number. The first to rename has it: a folder that is not empty is never replaced."""
        number = self._highest()
        contract = self.folder / CONTRACT
        while True:
            number += 1
            text = encode(bundle._replace(version=number))
            written = decode(text)  # what could not be read again must not be published
            read_evidence(written), read_profile(written)
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
            self._created.clear()
            _sync(self.model)
            return target

    def _highest(self) -> int:
        entries = (entry.name for entry in self.model.iterdir())
        numbers = (int(name) for name in entries if name.isascii() and name.isdigit() and len(name) < 17)
        return max((number for number in numbers if number < MAX_INTEGER), default=0)

    def _remove_abandoned(self) -> None:
        for draft in self.model.glob(f"{PREFIX}*"):
            try:
                changed = max(path.lstat().st_mtime for path in (draft, *draft.iterdir()))
            except OSError:
                continue  # its writer has just ended
            if time.time() - changed > ABANDONED_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)

    def _discard(self) -> None:
        """Remove the draft, unless it was published, and the folders that were created for it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in reversed(self._created):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                break  # another writer uses it by now
        self._created.clear()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _describe(error: OSError) -> str:
    return f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")

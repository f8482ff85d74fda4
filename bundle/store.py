"""
Bundles on disk: read and verify one, find those of a repository, and write a new version that nobody ever sees half of.

A repository is a folder of models, a model is a folder of versions (positive whole numbers), a version is a bundle.
Everything else in these folders is left alone and not seen; names that begin with a dot are drafts.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from snooze.bundle.codec import FILE_NAME, MODEL_NAME, decode, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import (
    InvalidContract,
    MissingFile,
    NoSuchModel,
    NotABundle,
    NotWritten,
    OutsideFolder,
    WrongHash,
)

CONTRACT: Final = "bundle.json"
MOST_CONTRACT_BYTES: Final = 16 * 2**20
DRAFT_PREFIX: Final = ".draft-"


@dataclass(frozen=True, slots=True)
class Found:
    """One version of one model, where it lies."""

    name: str
    version: int
    folder: Path


def read(folder: Path) -> Bundle:
    """
    Return the contract of the bundle in `folder`. All its files are there and inside; their hashes are not yet checked.

    Raises:
        BundleError: says precisely what is wrong (see `errors.py`).
    """
    path = folder / CONTRACT
    try:
        inside(folder, CONTRACT)
        if path.stat().st_size > MOST_CONTRACT_BYTES:
            raise InvalidContract("the file", f"is larger than {MOST_CONTRACT_BYTES} bytes")
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        problem = "there is no bundle.json in it" if folder.is_dir() else "there is no such folder"
        raise NotABundle(folder, problem) from None
    except OSError as error:
        raise NotABundle(folder, f"bundle.json cannot be read: {error.strerror}") from None
    bundle = decode(text)
    for name in bundle.files:
        if not inside(folder, name).is_file():
            raise MissingFile(folder / name)
    return bundle


def verify(folder: Path, bundle: Bundle) -> None:
    """
    Check each file of the bundle in `folder` against its hash.

    Raises:
        WrongHash: names the first file that is not the one that was written.
        MissingFile: it is not there (any more).
    """
    for name, expected in bundle.files.items():
        path = inside(folder, name)
        try:
            found = sha256(path)
        except OSError:
            raise MissingFile(folder / name) from None
        if found != expected:
            raise WrongHash(folder / name, expected, found)


def sha256(path: Path) -> str:
    """Return the hash of a file as the contract writes it. The global interpreter lock is free meanwhile."""
    import hashlib  # only here: most readers of a bundle never hash

    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def inside(folder: Path, name: str) -> Path:
    """Return the real path of a bundle's file, which a link may not lead out of the folder that holds the bundle."""
    real = Path(os.path.realpath(folder / name))
    root = os.path.realpath(folder)
    if not str(real).startswith(root + os.sep):
        raise OutsideFolder(folder / name, folder)
    return real


def find(path: Path) -> list[Found]:
    """
    Return the bundles at `path`: a repository, the folder of one model, or one bundle. In order of name and version.

    The model's name and version are those of the contract only where the folder's own names do not tell.

    Raises:
        NotABundle: there is no such folder, or no bundle in it.
    """
    if not path.is_dir():
        raise NotABundle(path, "it is not a folder" if path.exists() else "there is no such folder")
    if (path / CONTRACT).exists():
        bundle = read(path)
        return [Found(bundle.name, bundle.version, path)]
    try:
        found = list(_versions(path)) or [
            version for model in sorted(path.iterdir()) if model.is_dir() for version in _versions(model)
        ]
    except OSError as error:
        raise NotABundle(path, f"it cannot be read: {error.strerror}") from None
    if not found:
        raise NotABundle(path, "it holds no model; 'snooze convert ... --target' puts one there")
    return found


def latest(path: Path, version: int | None = None) -> Found:
    """
    Return the one model at `path`: its highest version, or the one asked for.

    Raises:
        NoSuchModel: there is no such version, or `path` holds several models.
    """
    found = find(path)
    names = sorted({one.name for one in found})
    if len(names) > 1:
        raise NoSuchModel(f"single model in {path}", [str(path / name) for name in names])
    for one in reversed(found):
        if version in (None, one.version):
            return one
    raise NoSuchModel(f"version {version} of {names[0]!r}", [str(one.version) for one in found])


def _versions(model: Path) -> Iterator[Found]:
    if not MODEL_NAME.fullmatch(model.name):
        return
    numbers = sorted(
        int(entry.name)
        for entry in model.iterdir()
        if entry.name.isascii() and entry.name.isdigit() and entry.name[0] != "0" and (entry / CONTRACT).exists()
    )
    for number in numbers:
        yield Found(model.name, number, model / str(number))


class Draft:
    """
    A bundle that is being written: `with Draft(repository, name) as draft:` fill `draft.folder`, then `draft.publish`.

    Whatever ends it before `publish` has returned leaves nothing visible. The draft of a process that was killed is
    removed by the next one for the same model.
    """

    def __init__(self, repository: Path, name: str) -> None:
        if not MODEL_NAME.fullmatch(name):
            raise NotWritten(repository, f"a model's name looks like {MODEL_NAME.pattern}, not {name!r}")
        self.model = repository / name
        self.folder = self.model  # until entered
        self._lock = -1
        self._made: list[Path] = []

    def __enter__(self) -> "Draft":
        try:
            self._make_parents()
            self._remove_orphans()
            self._open()
        except OSError as error:
            self._forget()
            raise NotWritten(self.model, _why(error)) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._forget()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NotWritten(self.model, _why(error)) from None

    def publish(self, bundle: Bundle) -> Path:
        """
        Make the draft the next version of its model and return its folder.

        The bundle's `version` and `files` are filled in here: every file of the draft is hashed and listed.

        Raises:
            NotWritten: no space, no permission, or a file with a name that the contract does not allow.
        """
        try:
            files = {path.name: sha256(path) for path in sorted(self.folder.iterdir())}
            for name in files:
                if not FILE_NAME.fullmatch(name):
                    raise NotWritten(self.model, f"a bundle holds no file named {name!r}")
            for name in files:
                _sync(self.folder / name)
            return self._rename(replace(bundle, name=self.model.name, files=files))
        except OSError as error:
            raise NotWritten(self.model, _why(error)) from None

    def _rename(self, bundle: Bundle) -> Path:
        """Take the first free number. Whoever renames first has it: a folder that is not empty is never replaced."""
        number = self._highest()
        while True:
            number += 1
            text = encode(replace(bundle, version=number))
            decode(text)  # what we could not read again must not be published
            (self.folder / CONTRACT).write_text(text, "utf-8")
            _sync(self.folder / CONTRACT)
            self.folder.chmod(0o755)
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
        names = (entry.name for entry in self.model.iterdir())
        return max((int(name) for name in names if name.isascii() and name.isdigit()), default=0)

    def _make_parents(self) -> None:
        for folder in (*reversed(self.model.parents), self.model):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                self._made.append(folder)

    def _open(self) -> None:
        """Make the draft's folder and hold its lock, which tells others that its writer lives."""
        while True:
            self.folder = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=self.model))
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.folder.exists():  # another writer may have taken it for an orphan before it was locked
                return
            os.close(self._lock)

    def _remove_orphans(self) -> None:
        for orphan in self.model.glob(f"{DRAFT_PREFIX}*"):
            try:
                lock = os.open(orphan, os.O_RDONLY | os.O_DIRECTORY)
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
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self.folder.name.startswith(DRAFT_PREFIX):
            shutil.rmtree(self.folder, ignore_errors=True)
        for folder in reversed(self._made):
            try:
                folder.rmdir()
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

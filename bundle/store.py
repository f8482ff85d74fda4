"""
Bundles on disk: read one, verify it, and find those of a repository. (`draft.py` writes them.)

A repository is a folder of models, a model is a folder of versions (positive whole numbers), a version is a bundle.
Everything else in these folders is left alone and not seen.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from snooze.bundle import names
from snooze.bundle.codec import CONTRACT, decode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import (
    InvalidContract,
    MissingFile,
    NoSuchModel,
    NotABundle,
    OutsideFolder,
    UnknownSchema,
    WrongHash,
)
from snooze.bundle.fields import LARGEST_WHOLE

MOST_CONTRACT_BYTES: Final = 16 * 2**20


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
        text = _text(inside(folder, CONTRACT))
    except (FileNotFoundError, NotADirectoryError):
        problem = "there is no bundle.json in it" if folder.is_dir() else "there is no such folder"
        raise NotABundle(folder, problem) from None
    except OSError as error:
        raise NotABundle(folder, f"bundle.json cannot be read: {error.strerror}") from None
    try:
        bundle = decode(text)
    except InvalidContract as error:
        raise InvalidContract(error.field, error.problem, path) from None
    except UnknownSchema as error:
        raise UnknownSchema(error.found, error.known, path) from None
    for name in bundle.files:
        _check_plain(folder, name)
    return bundle


def verify(folder: Path, bundle: Bundle) -> None:
    """
    Check each file of the bundle in `folder` against its hash.

    Raises:
        WrongHash: names the first file that is not the one that was written.
        MissingFile: it is not there (any more), or cannot be read.
    """
    for name, expected in bundle.files.items():
        path = _check_plain(folder, name)
        try:
            found = sha256(path)
        except OSError as error:
            raise MissingFile(folder / name, f"cannot be read: {error.strerror}") from None
        if found != expected:
            raise WrongHash(folder / name, expected, found)


def sha256(path: Path) -> str:
    """Return the hash of a file as the contract writes it. The global interpreter lock is free meanwhile."""
    import hashlib  # only here: most readers of a bundle never hash

    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def inside(folder: Path, name: str) -> Path:
    """Return the real path of a bundle's file, which a link may not lead out of the folder that holds the bundle."""
    real = os.path.realpath(folder / name)
    if not real.startswith(os.path.join(os.path.realpath(folder), "")):  # noqa: PTH118 - it ends with one slash, also for /
        raise OutsideFolder(folder / name, folder)
    return Path(real)


def find(path: Path) -> list[Found]:
    """
    Return the bundles at `path`: a repository, the folder of one model, or one bundle. In order of name and version.

    The model's name and version are those of the contract only where the folder's own names do not tell.

    Raises:
        NotABundle: there is no such folder, or no bundle in it.
    """
    try:
        if not path.is_dir():
            raise NotABundle(path, "it is not a folder" if path.exists() else "there is no such folder")
        if (path / CONTRACT).exists():
            bundle = read(path)
            return [Found(bundle.name, bundle.version, path)]
        found = list(_versions(path)) or [
            version for model in sorted(path.iterdir()) if model.is_dir() for version in _versions(model)
        ]
    except OSError as error:
        raise NotABundle(path, f"{error.filename or path} cannot be read: {error.strerror}") from None
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
    models = sorted({one.name for one in found})
    if len(models) > 1:
        raise NoSuchModel(f"single model in {path}", [str(path / name) for name in models])
    for one in reversed(found):
        if version in (None, one.version):
            return one
    raise NoSuchModel(f"version {version} of {models[0]!r}", [str(one.version) for one in found])


def _text(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would never end
        raise InvalidContract("the file", "is not a plain file", path)
    with path.open("rb") as file:
        text = file.read(MOST_CONTRACT_BYTES + 1)
    if len(text) > MOST_CONTRACT_BYTES:
        raise InvalidContract("the file", f"is larger than {MOST_CONTRACT_BYTES} bytes", path)
    return text


def _check_plain(folder: Path, name: str) -> Path:
    path = inside(folder, name)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise MissingFile(folder / name, "does not exist") from None
        raise MissingFile(folder / name, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise MissingFile(folder / name, "is not a regular file")
    return path


def _versions(model: Path) -> Iterator[Found]:
    name = os.path.basename(os.path.abspath(model))  # noqa: PTH100, PTH119 - "." has a name, and a link keeps its own
    if not names.is_model_name(name):
        return
    numbers = sorted(
        int(entry.name) for entry in model.iterdir() if _is_version(entry.name) and (entry / CONTRACT).exists()
    )
    for number in numbers:
        yield Found(name, number, model / str(number))


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and name[0] != "0" and int(name) <= LARGEST_WHOLE

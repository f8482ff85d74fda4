"""
Bundles on disk: read one, verify it, and find those of a repository. (`draft.py` writes them.)

A repository is a folder of models, a model is a folder of versions (positive integers), a version is a bundle.
Everything else in these folders is ignored.
"""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from snooze.bundle.codec import CONTRACT, decode
from snooze.bundle.contract import MAX_INTEGER, Bundle
from snooze.bundle.errors import (
    BundleError,
    InvalidContract,
    MissingFile,
    NoSuchModel,
    NotABundle,
    OutsideFolder,
    UnknownSchema,
    WrongHash,
)

REPORT: Final = "report.html"
MAX_CONTRACT_BYTES: Final = 16 * 2**20
MAX_SMALL_FILE: Final = 2**18  # bytes for which loading OpenSSL (5 ms) takes longer than Python's own slower SHA-256


class Found(NamedTuple):
    """
    One version of one model: its name, its version and its folder.

    Name and version are those of the contract, wherever the folder is; those of the folders if it cannot be read.
    """

    name: str
    version: int
    folder: Path
    contract: Bundle | BundleError

    @property
    def error(self) -> BundleError | None:
        """What is wrong with the bundle, if its contract cannot be read."""
        return self.contract if isinstance(self.contract, BundleError) else None

    @property
    def bundle(self) -> Bundle:
        """The contract; raises `error` if it cannot be read."""
        if isinstance(self.contract, BundleError):
            raise self.contract
        return self.contract


def read(folder: Path) -> Bundle:
    """
    Return the contract of the bundle in `folder`. All its files exist inside the folder; their hashes are not checked.

    Raises:
        BundleError: says precisely what is wrong (see `errors.py`).
    """
    path = folder / CONTRACT
    try:
        text = _read_contract(resolve(folder, CONTRACT))
    except (FileNotFoundError, NotADirectoryError):
        raise NotABundle(folder, "it has no bundle.json" if folder.is_dir() else "the folder does not exist") from None
    except OSError as error:
        raise NotABundle(folder, f"bundle.json cannot be read: {error.strerror}") from None
    try:
        bundle = decode(text)
    except InvalidContract as error:
        raise InvalidContract(error.field, error.problem, path) from None
    except UnknownSchema as error:
        raise UnknownSchema(error.found, error.known, path) from None
    for name in bundle.files:
        _check_file(folder, name)
    return bundle


def verify(folder: Path, bundle: Bundle, names: Iterable[str] | None = None) -> None:
    """
    Check each file of the bundle in `folder` against its hash, or only the files `names` of it.

    Raises:
        WrongHash: names the first file that was changed.
        MissingFile: a file does not exist any more, or cannot be read.
    """
    for name in bundle.files if names is None else names:
        expected = bundle.files[name]
        path = _check_file(folder, name)
        try:
            found = sha256(path)
        except OSError as error:
            raise MissingFile(folder / name, f"cannot be read: {error.strerror}") from None
        if found != expected:
            raise WrongHash(folder / name, expected, found)


def sha256(path: Path) -> str:
    """Return the hash of a file as the contract writes it. Where it is large, other threads run meanwhile."""
    with path.open("rb") as file:
        start = file.read(MAX_SMALL_FILE + 1)
        if len(start) <= MAX_SMALL_FILE:
            return f"sha256:{_hash_small(start)}"
        import hashlib

        file.seek(0)
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def has_large_files(found: Found) -> bool:
    """Return whether to verify what is served would import `hashlib`."""
    if found.error is not None:
        return False
    return any((found.folder / name).stat().st_size > MAX_SMALL_FILE for name in served_files(found.bundle))


def served_files(bundle: Bundle) -> list[str]:
    """Return the files that a server needs: all but the report."""
    return [name for name in bundle.files if name != REPORT]


def resolve(folder: Path, name: str) -> Path:
    """
    Return the real path of a bundle's file.

    Raises:
        OutsideFolder: a link leads out of the folder.
    """
    real = os.path.realpath(folder / name)
    if not real.startswith(os.path.join(os.path.realpath(folder), "")):  # noqa: PTH118 - exactly one slash, also for /
        raise OutsideFolder(folder / name, folder)
    return Path(real)


def find(path: Path) -> list[Found]:
    """
    Return the bundles at `path` by name and version: a repository, the folder of one model, or one bundle.

    Raises:
        NotABundle: the folder does not exist or contains no bundle.
    """
    found = [_open(folder) for folder in find_folders(path)]
    return sorted(found, key=lambda one: (one.name, one.version))


def find_folders(path: Path) -> list[Path]:
    """
    Return the folders of the bundles at `path`, without reading a contract.

    Raises:
        NotABundle: the folder does not exist or contains no bundle.
    """
    try:
        if not path.is_dir():
            raise NotABundle(path, "it is not a folder" if path.exists() else "the folder does not exist")
        if (path / CONTRACT).exists():
            return [path]
        folders = _versions(path) or [
            version for model in sorted(path.iterdir()) if model.is_dir() for version in _versions(model)
        ]
    except OSError as error:
        raise NotABundle(path, f"{error.filename or path} cannot be read: {error.strerror}") from None
    if not folders:
        raise NotABundle(path, "it contains no model; 'snooze convert ... --target' writes one")
    return folders


def latest(path: Path, version: int | None = None) -> Found:
    """
    Return the one model at `path`: its highest version, or the given one.

    Raises:
        NoSuchModel: there is no such version, or `path` contains several models.
        BundleError: its contract cannot be read.
    """
    found = find(path)
    models = sorted({one.name for one in found})
    if len(models) > 1:
        raise NoSuchModel(f"single model in {path}", [str(path / name) for name in models])
    for one in reversed(found):
        if version in (None, one.version):
            if one.error is not None:
                raise one.error
            return one
    raise NoSuchModel(f"version {version} of '{models[0]}'", [str(one.version) for one in found])


def _hash_small(data: bytes) -> str:
    """Return the hash without OpenSSL, as `random` does it; some builds of Python have no SHA-256 of their own."""
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256
    return str(sha256(data).hexdigest())


def _open(folder: Path) -> Found:
    try:
        bundle = read(folder)
    except BundleError as error:
        name, number = folder.absolute().parent.name, folder.absolute().name
        return Found(name, int(number) if _is_version(number) else 1, folder, error)
    return Found(bundle.name, bundle.version, folder, bundle)


def _read_contract(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):  # reading a named pipe would never end
        raise InvalidContract("the file", "is not a regular file", path)
    with path.open("rb") as file:
        text = file.read(MAX_CONTRACT_BYTES + 1)
    if len(text) > MAX_CONTRACT_BYTES:
        raise InvalidContract("the file", f"is larger than {MAX_CONTRACT_BYTES} bytes", path)
    return text


def _check_file(folder: Path, name: str) -> Path:
    path = resolve(folder, name)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise MissingFile(folder / name, "does not exist") from None
    except OSError as error:
        raise MissingFile(folder / name, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise MissingFile(folder / name, "is not a regular file")
    return path


def _versions(model: Path) -> list[Path]:
    return [entry for entry in model.iterdir() if _is_version(entry.name) and (entry / CONTRACT).exists()]


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and name[0] != "0" and len(name) < 17 and int(name) <= MAX_INTEGER

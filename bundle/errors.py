"""
Every error that Snooze raises on purpose, from one root:

* SnoozeError
  - MissingExtra            an optional package is not installed
  - InvalidOption           an option has a value that it cannot have
  - InvalidData             rows that were given cannot be read or do not fit the model
  - InvalidRow              a raw row (of a table, a picture, a text) cannot be turned into inputs
  - BundleError
    + NotABundle            there is no `bundle.json` where one was expected
    + UnknownSchema         the bundle was written for another version of the contract
    + InvalidContract       `bundle.json` contains something that the contract does not allow
    + MissingFile           a file that `bundle.json` lists is missing or cannot be read
    + WrongHash             a file was changed after the bundle was written
    + OutsideFolder         a path or link leaves the bundle's folder
    + InvalidSamples        `samples.npz` cannot be read or does not fit the signature
    + NoSuchModel           a repository has no such model or version
    + NotWritten            the bundle could not be stored; nothing of it is left behind
  - ConversionError, ServiceError, ClientError, KnativeError, BenchmarkError: see `errors.py` of each package
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

CONTRACT: Final = Path("bundle.json")  # the place of an error where the folder is not known


class SnoozeError(Exception):
    """The command prints the message on one line and ends with `exit_code`: 1 for a failed check, 2 for wrong input."""

    exit_code: ClassVar[int] = 2


class MissingExtra(SnoozeError):
    """An optional package is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"'{module}' is not installed; run: pip install 'snooze[{extra}]'")
        self.module = module
        self.extra = extra


class InvalidOption(SnoozeError):
    """An option of the command, or the argument of a function, has a value that it cannot have."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem


class InvalidData(SnoozeError):
    """Rows that were given cannot be read, or do not fit the model."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what
        self.problem = problem


class InvalidRow(SnoozeError):
    """A raw row cannot be turned into inputs: `what` it is, its number from 0, and the column of a table."""

    def __init__(self, what: str, row: int, problem: str, column: str | None = None) -> None:
        super().__init__(f"{what} {row}{'' if column is None else f', column {column!r}'}: {problem}")
        self.what = what
        self.row = row
        self.problem = problem
        self.column = column


class BundleError(SnoozeError):
    """A bundle cannot be read, verified or written."""


class NotABundle(BundleError):
    """There is no `bundle.json` where one was expected."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} is not a bundle: {problem}")
        self.path = path
        self.problem = problem


class UnknownSchema(BundleError):
    """The bundle was written for another version of the contract."""

    def __init__(self, found: object, known: int, path: Path = CONTRACT) -> None:
        super().__init__(
            f"{path}: schema version {found!r} is not supported, this version of Snooze reads {known}; "
            "convert the model again, or use the version of Snooze that wrote the bundle"
        )
        self.found = found
        self.known = known


class InvalidContract(BundleError):
    """`bundle.json` contains something that the contract does not allow."""

    def __init__(self, field: str, problem: str, path: Path = CONTRACT) -> None:
        remedy = "" if path == CONTRACT else "; convert the model again"
        super().__init__(f"{path}: {field}: {problem}{remedy}")
        self.field = field
        self.problem = problem


class MissingFile(BundleError):
    """A file that `bundle.json` lists is missing, is not a regular file, or cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} is listed in bundle.json but {problem}; convert the model again")
        self.path = path
        self.problem = problem


class WrongHash(BundleError):
    """A file was changed after the bundle was written."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(
            f"{path} was changed after the bundle was written: expected {expected}, found {found}; "
            "convert the model again"
        )
        self.path = path
        self.expected = expected
        self.found = found


class OutsideFolder(BundleError):
    """A path or link leaves the bundle's folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(f"{path} leads out of the bundle's folder {folder}; a bundle contains its own files")
        self.path = path
        self.folder = folder


class InvalidSamples(BundleError):
    """`samples.npz` cannot be read or does not fit the signature."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; convert the model again")
        self.path = path
        self.problem = problem


class NoSuchModel(BundleError):
    """A repository has no such model or version."""

    def __init__(self, wanted: str, known: Sequence[str]) -> None:
        available = f"available: {', '.join(known)}" if known else "the repository is empty"
        super().__init__(f"no {wanted}; {available}")
        self.wanted = wanted
        self.known = known


class NotWritten(BundleError):
    """The bundle could not be stored. Nothing of it is left behind."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write a bundle to {path}: {problem}")
        self.path = path
        self.problem = problem

"""
What can be wrong with a bundle or a model repository:

* BundleError
  - NotABundle            no `bundle.json` where one was expected
  - UnknownSchema         written for another version of the contract
  - InvalidContract       `bundle.json` says something the contract does not allow
  - MissingFile           a file that `bundle.json` names is not there, is none or cannot be read
  - WrongHash             a file is not the one that was written
  - OutsideFolder         a path or link leaves the bundle's folder
  - InvalidSamples        `samples.npz` cannot be read or does not fit the signature
  - NoSuchModel           a repository has no such model or version
  - NotWritten            the bundle could not be stored; nothing of it is left behind
"""

from pathlib import Path
from typing import Final

CONTRACT: Final = Path("bundle.json")  # where no folder is known


class BundleError(Exception):
    """A bundle cannot be read, verified or written."""

    exit_code = 2


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
            f"{path}: schema version {found!r} is not known, this Snooze reads version {known}; "
            "upgrade Snooze or convert the model again"
        )
        self.found = found
        self.known = known


class InvalidContract(BundleError):
    """`bundle.json` says something that the contract does not allow."""

    def __init__(self, field: str, problem: str, path: Path = CONTRACT) -> None:
        remedy = "" if path == CONTRACT else "; convert the model again"
        super().__init__(f"{path}: {field}: {problem}{remedy}")
        self.field = field
        self.problem = problem


class MissingFile(BundleError):
    """A file that `bundle.json` names is not there, is none, or cannot be read."""

    def __init__(self, path: Path, problem: str = "is not there; convert the model again") -> None:
        super().__init__(f"{path} is named in bundle.json but {problem}")
        self.path = path
        self.problem = problem


class WrongHash(BundleError):
    """A file is not the one that was written."""

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
        super().__init__(f"{path} leads out of the bundle's folder {folder}; a bundle holds its own files")
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

    def __init__(self, wanted: str, known: list[str]) -> None:
        there = f"there are: {', '.join(known)}" if known else "the repository is empty"
        super().__init__(f"no {wanted}; {there}")
        self.wanted = wanted
        self.known = known


class NotWritten(BundleError):
    """The bundle could not be stored; nothing of it is left behind."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write a bundle to {path}: {problem}")
        self.path = path
        self.problem = problem

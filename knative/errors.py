"""
What can go wrong between a bundle and a Knative Service:

* KnativeError
  - InvalidName        no Kubernetes name can be made of what was given
  - InvalidOption      an option that no manifest can carry
  - NoProfile          the bundle does not say how long its model runs, or what memory that takes
  - TooSlow            the model cannot keep the promise that was asked for
  - InvalidManifest    Knative or Snooze would refuse the manifest
  - NotWritable        the manifest cannot be written to where it should go
  - MissingExtra       an optional package is not installed
  - MissingProgram     `kn` is not there
  - KnFailed           `kn` said no
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snooze.knative.problems import Problem


class KnativeError(Exception):
    """A bundle cannot be sized, described or deployed."""

    exit_code: int = 2


class InvalidName(KnativeError):
    """No Kubernetes name can be made of what was given."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"service name {name!r}: {problem}; choose another with --name")
        self.name = name
        self.problem = problem


class InvalidOption(KnativeError):
    """An option that no manifest can carry."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem


class NoProfile(KnativeError):
    """The bundle does not say how long its model runs, or what memory that takes."""

    def __init__(self, name: str, version: int, missing: str) -> None:
        super().__init__(
            f"{name} version {version} has no measured {missing} in its profile, so it cannot be sized; "
            "convert the model again"
        )
        self.name = name
        self.version = version
        self.missing = missing


class TooSlow(KnativeError):
    """The model cannot keep the promise that was asked for, however many pods there are."""

    exit_code = 1

    def __init__(self, asked_seconds: float, best_seconds: float) -> None:
        super().__init__(
            f"gate p99: {asked_seconds * 1e3:g} ms was asked for, but a single request alone takes "
            f"{best_seconds * 1e3:.3g} ms; ask for a longer --p99 or serve a faster model"
        )
        self.asked_seconds = asked_seconds
        self.best_seconds = best_seconds


class InvalidManifest(KnativeError):
    """Knative or Snooze would refuse the manifest."""

    def __init__(self, problems: Sequence["Problem"]) -> None:
        super().__init__("the manifest would be refused: " + " | ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NotWritable(KnativeError):
    """The manifest cannot be written to where it should go."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write {path}: {problem}; choose another file with --output")
        self.path = path
        self.problem = problem


class MissingExtra(KnativeError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"'{package}' is not installed; run: pip install 'snooze[{extra}]'")
        self.package = package
        self.extra = extra


class MissingProgram(KnativeError):
    """A program that `--apply` runs is not there."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"'{program}' is not on the PATH; install it, or apply the manifest with: kubectl apply -f FILE"
        )
        self.program = program


class KnFailed(KnativeError):
    """`kn` ended with an error."""

    exit_code = 1

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"kn ended with exit code {status}: {message}")
        self.status = status
        self.message = message

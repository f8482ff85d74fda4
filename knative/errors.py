"""
The errors of sizing, describing and deploying a bundle; the root and `InvalidOption` are in `snooze.bundle.errors`:

* KnativeError
  - TooSlow            the model cannot meet the p99 that was asked for
  - NotWritable        the manifest cannot be written to the file
  - MissingProgram     `kn` is not installed
  - KnFailed           `kn` ended with an error
"""

from pathlib import Path

from snooze.bundle.errors import SnoozeError
from snooze.bundle.units import format_duration


class KnativeError(SnoozeError):
    """A bundle cannot be sized, described or deployed."""


class TooSlow(KnativeError):
    """The model cannot meet the p99 that was asked for, whatever the number of pods."""

    exit_code = 1

    def __init__(self, asked_seconds: float, best_seconds: float) -> None:
        super().__init__(
            f"check failed: a p99 of {format_duration(asked_seconds)} is not possible, because a single request takes "
            f"{format_duration(best_seconds)}; ask for a longer --p99 or serve a faster model"
        )
        self.asked_seconds = asked_seconds
        self.best_seconds = best_seconds


class NotWritable(KnativeError):
    """The manifest cannot be written to the file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write {path}: {problem}; choose another file with --output")
        self.path = path
        self.problem = problem


class MissingProgram(KnativeError):
    """A program that `--apply` runs is not installed."""

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

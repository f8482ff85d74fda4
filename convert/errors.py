"""
Why a trained model was not converted:

* ConversionError
  - NotAModel           the file or object is not a model that can be read
  - Untrusted           reading the file would run code, and the user did not allow it
  - Unfitted            the model was never trained
  - Unsupported         the model is of a kind that cannot be converted
  - NoWorkspace         the temporary folder cannot be used
  - Interrupted         a child process did not finish
  - Refused             a check failed (exit code 1)
    + GraphRefused      the converted graph cannot be served
    + ParityRefused     the converted graph answers differently from the original

`MissingExtra`, `InvalidOption` and `InvalidData` are in `snooze.bundle.errors`.
"""

from collections.abc import Sequence
from typing import Final

from snooze.bundle.errors import SnoozeError
from snooze.bundle.evidence import Differences

RUNS_CODE: Final = "reading it runs the code in it"


class ConversionError(SnoozeError):
    """A model was not converted. Nothing is left in the target."""


class NotAModel(ConversionError):
    """The file or object is not a model that can be read."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what, self.problem = what, problem


class Untrusted(ConversionError):
    """Reading the file would run code, or create `types` that are not known to be safe; the user did not allow it."""

    def __init__(self, what: str, types: Sequence[str] = ()) -> None:
        problem = f"it contains types that are not known to be safe: {', '.join(types)}" if types else RUNS_CODE
        super().__init__(f"{what}: {problem}; if you made it or trust its author, add --trust")
        self.what, self.types = what, tuple(types)


class Unfitted(ConversionError):
    """The model was never trained."""

    def __init__(self, model: str, call: str) -> None:
        super().__init__(f"the {model} is not fitted; call {call} on it and save it again")
        self.model = model


class Unsupported(ConversionError):
    """The model is of a kind that cannot be converted."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"{model} cannot be converted: {problem}")
        self.model, self.problem = model, problem


class NoWorkspace(ConversionError):
    """The temporary folder cannot be used."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(f"cannot use the temporary folder {folder}: {problem}; free space, or set TMPDIR to another")
        self.folder, self.problem = folder, problem


class Interrupted(ConversionError):
    """A child process that converts or measures the model did not finish."""

    def __init__(self, step: str, problem: str) -> None:
        super().__init__(f"{step} did not finish: {problem}")
        self.step, self.problem = step, problem


class Refused(ConversionError):
    """A check of the converted model failed."""

    exit_code = 1
    check = "check"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{self.check} failed: {problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


class GraphRefused(Refused):
    """The converted graph cannot be served."""

    check = "graph check"


class ParityRefused(Refused):
    """The converted graph answers differently from the original. `differences` is the comparison that failed."""

    check = "parity check"

    def __init__(self, problem: str, remedy: str, differences: Differences | None = None) -> None:
        super().__init__(problem, remedy)
        self.differences = differences

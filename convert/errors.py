"""
What can go wrong between a trained model and its bundle:

* ConversionError
  - MissingExtra        a package that this conversion needs is not installed
  - InvalidOption       an option of the command says something impossible
  - NotAModel           the file or object is not a model that can be read
  - Untrusted           reading the file would run code, and nobody said that it may
  - Unfitted            the model was never trained
  - Unsupported         a trained model, but of a kind that is not converted
  - InvalidData         the rows given do not fit the model
  - NoWorkspace         the temporary folder cannot be worked in
  - Interrupted         a child process that measures did not finish
  - Refused             a gate said no (exit code 1)
    + GraphRefused      the converted graph cannot be served
    + ParityRefused     the converted graph does not answer as the original does
"""

from typing import ClassVar


class ConversionError(Exception):
    """A model was not converted. Nothing of it is left in the target."""

    exit_code: ClassVar[int] = 2


class MissingExtra(ConversionError):
    """A package that this conversion needs is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"'{module}' is not installed; run: pip install 'snooze[{extra}]'")
        self.module = module
        self.extra = extra


class InvalidOption(ConversionError):
    """An option says something impossible."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem


class NotAModel(ConversionError):
    """The file or object is not a model that can be read."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what
        self.problem = problem


class Untrusted(ConversionError):
    """Reading the file would run code, and nobody said that it may."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is a pickle, and reading a pickle runs whatever code is in it; "
            "if you made the file or trust who did, add --trust"
        )
        self.what = what


class Unfitted(ConversionError):
    """The model was never trained."""

    def __init__(self, model: str, call: str) -> None:
        super().__init__(f"the {model} is not fitted; call {call} on it and save it again")
        self.model = model


class Unsupported(ConversionError):
    """A trained model, but of a kind that is not converted."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"{model} cannot be converted: {problem}")
        self.model = model
        self.problem = problem


class InvalidData(ConversionError):
    """The rows given do not fit the model, or cannot be read."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what
        self.problem = problem


class NoWorkspace(ConversionError):
    """The temporary folder cannot be worked in."""

    def __init__(self, folder: str, problem: str) -> None:
        super().__init__(
            f"cannot work in the temporary folder {folder}: {problem}; make room, or set TMPDIR to another"
        )
        self.folder = folder
        self.problem = problem


class Interrupted(ConversionError):
    """A child process that measures the model did not finish."""

    def __init__(self, step: str, problem: str) -> None:
        super().__init__(f"{step} did not finish: {problem}")
        self.step = step
        self.problem = problem


class Refused(ConversionError):
    """A gate said no."""

    exit_code: ClassVar[int] = 1


class GraphRefused(Refused):
    """The converted graph cannot be served."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"graph gate: {problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class ParityRefused(Refused):
    """The converted graph does not answer as the original does."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"parity gate: {problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy

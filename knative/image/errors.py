"""
The errors of building an image; the root is in `snooze.bundle.errors`:

* KnativeError
  - NoEngine           there is no program that builds images
  - ProgramFailed      a program that builds or copies images ended with an error
  - InvalidImage       an image is damaged, or Snooze cannot read its format
  - UnfitImage         a server image cannot serve the bundles
  - NotServable        a server with the bundles gives wrong answers for their golden samples
  - NotVerified        the golden samples cannot be checked
  - NotStored          an image cannot be written
"""

from collections.abc import Sequence

from snooze.knative.errors import KnativeError


class NoEngine(KnativeError):
    """There is no program that builds images; `wanted` are those that were looked for."""

    def __init__(self, wanted: Sequence[str]) -> None:
        super().__init__(
            f"{' or '.join(wanted)} is not on the PATH; install it, or give --server-image to add the models to an "
            "existing server image, which needs no engine"
        )
        self.wanted = wanted


class ProgramFailed(KnativeError):
    """A program that builds or copies images ended with an error."""

    exit_code = 1

    def __init__(self, program: str, message: str) -> None:
        super().__init__(f"{program}: {message}")
        self.program = program
        self.message = message


class InvalidImage(KnativeError):
    """An image is damaged, or Snooze cannot read its format."""

    def __init__(self, image: str, problem: str) -> None:
        super().__init__(f"{image}: {problem}")
        self.image = image
        self.problem = problem


class UnfitImage(KnativeError):
    """A server image cannot serve the bundles."""

    def __init__(self, image: str, problem: str) -> None:
        super().__init__(f"{image} cannot be used: {problem}; 'snooze image --tag IMAGE --extras NAMES' builds one")
        self.image = image
        self.problem = problem


class NotServable(KnativeError):
    """A server with the bundles gives wrong answers for their golden samples."""

    exit_code = 1

    def __init__(self, problem: str) -> None:
        super().__init__(f"check failed: {problem}")
        self.problem = problem


class NotVerified(KnativeError):
    """The golden samples cannot be checked, because the server does not start."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the golden samples cannot be checked: {problem}; --no-verify leaves them unchecked")
        self.problem = problem


class NotStored(KnativeError):
    """An image cannot be written. Nothing of it is left behind."""

    def __init__(self, image: str, problem: str) -> None:
        super().__init__(f"cannot write {image}: {problem}")
        self.image = image
        self.problem = problem

"""
The errors of sizing, describing and deploying a bundle; those of images are in `image/errors.py`, those of
rollouts in `rollout/errors.py`, the root and `InvalidOption` in `snooze.bundle.errors`:

* KnativeError
  - TooSlow            the model cannot meet the p99 that was asked for
  - NotWritable        the manifest cannot be written to the file
  - MissingProgram     `kubectl` or `skopeo` is not installed
  - KubectlFailed      `kubectl` ended with an error
    - Conflict         somebody else changed the object since it was read
  - UnknownService     there is no such Knative Service
  - NoDigest           the registry does not say which image a tag names
  - NotReady           the revision does not get ready
  - WrongRevision      an answer is not from the revision that was asked
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
    """The manifest cannot be written to the file that `option` names."""

    def __init__(self, path: Path, problem: str, option: str = "--output") -> None:
        super().__init__(f"cannot write {path}: {problem}; choose another file with {option}")
        self.path = path
        self.problem = problem


class MissingProgram(KnativeError):
    """A program that works on the cluster, or copies images, is not installed."""

    def __init__(
        self, program: str, remedy: str = "install it, or write the manifest with --output and apply it elsewhere"
    ) -> None:
        super().__init__(f"'{program}' is not on the PATH; {remedy}")
        self.program = program


class KubectlFailed(KnativeError):
    """`kubectl` ended with an error; `reason` is Kubernetes' word for it, such as Forbidden or NotFound."""

    exit_code = 1

    def __init__(self, message: str, reason: str | None) -> None:
        super().__init__(f"kubectl: {message}")
        self.reason = reason


class Conflict(KubectlFailed):
    """Somebody else changed the object since it was read."""


class UnknownService(KnativeError):
    """There is no such Knative Service."""

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(
            f"there is no Knative Service {name!r} in namespace {namespace!r}; create it with snooze deploy --apply, "
            "or see: kubectl get ksvc -A"
        )


class NoDigest(KnativeError):
    """The registry does not say which image a tag names."""

    def __init__(self, image: str, problem: str) -> None:
        super().__init__(f"no digest for {image}: {problem}; push it first, or give the digest with --image")
        self.image = image
        self.problem = problem


class NotReady(KnativeError):
    """The revision does not get ready."""

    exit_code = 1

    def __init__(self, namespace: str, revision: str, reason: str) -> None:
        super().__init__(
            f"revision {revision!r} does not get ready: {reason}; for more: kubectl -n {namespace} describe revision "
            f"{revision}"
        )
        self.revision = revision
        self.reason = reason


class WrongRevision(KnativeError):
    """An answer is not from the revision that was asked; `found` is None if it names none."""

    exit_code = 1

    def __init__(self, tag: str, revision: str, found: str | None) -> None:
        answered = f"revision {found!r} answered" if found else "the answer names none, as if it were not from Snooze"
        super().__init__(
            f"tag {tag!r} stands for revision {revision!r}, but {answered}; run it again if the traffic was changed "
            "meanwhile, and use --header only where Knative's config-features has tag-header-based-routing enabled"
        )
        self.revision = revision
        self.found = found

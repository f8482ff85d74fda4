"""
The errors of rollouts and of the way back; the root is in `snooze.bundle.errors`:

* KnativeError
  - MissingRight       kubectl's user may not do what the command needs
  - NoFigures          no pod tells how many requests it has answered
  - PrometheusFailed   Prometheus does not answer a query
  - NotRouted          requests do not go where the Service says
  - SplitTraffic       no single revision gets all requests
  - InvalidRecord      the annotation of a rollout holds something else
  - AlreadyServing     the revision of a rollout gets every request already
  - Displaced          somebody else has changed the Service during a rollout
  - PutBack            a rollout has put everything back
  - UnknownRevision    there is no such revision
  - UnknownVersion     no revision that can answer has the version
  - NothingToRollBack  there is no revision to go back to
  - RolloutUnderWay    a rollout of the Service decides about its traffic
"""

from collections.abc import Mapping, Sequence

from snooze.knative.errors import KnativeError


class MissingRight(KnativeError):
    """kubectl's user may not do what the command needs."""

    exit_code = 1

    def __init__(self, verb: str, resource: str, namespace: str) -> None:
        super().__init__(
            f"kubectl's user may not {verb} {resource} in namespace {namespace!r}, which a rollout needs; ask for the "
            "rights in the table 'Rights' of docs/rollouts.md"
        )
        self.verb = verb
        self.resource = resource
        self.namespace = namespace


class NoFigures(KnativeError):
    """No pod tells how many requests it has answered."""

    exit_code = 1

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"no pod can be read through the API server, so nothing can be judged: {problem}; "
            "let the API server reach the pods, or count with --prometheus URL"
        )
        self.problem = problem


class PrometheusFailed(KnativeError):
    """Prometheus does not answer a query."""

    exit_code = 1

    def __init__(self, problem: str) -> None:
        super().__init__(f"Prometheus: {problem}")
        self.problem = problem


class NotRouted(KnativeError):
    """Requests do not go where the Service says."""

    exit_code = 1

    def __init__(self, service: str, problem: str) -> None:
        super().__init__(f"the traffic of {service!r}: {problem}; see: kubectl describe route {service}")
        self.service = service
        self.problem = problem


class SplitTraffic(KnativeError):
    """No single revision gets all requests, so there is no revision to start from or to go back to."""

    def __init__(self, service: str, split: Mapping[str, int]) -> None:
        shares = ", ".join(f"{revision} {percent} %" for revision, percent in split.items()) or "none is ready"
        super().__init__(
            f"the requests of {service!r} do not go to one revision ({shares}); choose one first with: "
            f"snooze rollback {service} --to VERSION"
        )
        self.service = service
        self.split = split


class InvalidRecord(KnativeError):
    """The annotation in which a rollout keeps its state holds something else."""

    def __init__(self, service: str, annotation: str) -> None:
        super().__init__(
            f"annotation {annotation!r} of the Service {service!r} is not the record of a rollout by this version of "
            f"Snooze; remove it if no rollout is under way: kubectl annotate ksvc {service} {annotation}-"
        )
        self.service = service


class AlreadyServing(KnativeError):
    """The revision of a rollout gets every request already."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"{revision} serves everything already; another image or option makes another revision")
        self.revision = revision


class Displaced(KnativeError):
    """Somebody else has changed the Service during a rollout, which therefore leaves it as it is."""

    exit_code = 1

    def __init__(self, service: str, problem: str) -> None:
        super().__init__(
            f"the rollout of {service!r} stopped and changed nothing more, because {problem}; "
            f"see: snooze versions {service}"
        )
        self.service = service
        self.problem = problem


class PutBack(KnativeError):
    """A rollout has put everything back."""

    exit_code = 1

    def __init__(self, revision: str, problem: str, seconds: float) -> None:
        super().__init__(f"check failed: {problem}; {revision} serves everything again after {seconds:.1f} s")
        self.revision = revision
        self.problem = problem
        self.seconds = seconds


class UnknownRevision(KnativeError):
    """There is no such revision."""

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(f"there is no revision {name!r} in namespace {namespace!r}; it was deleted")
        self.name = name


class UnknownVersion(KnativeError):
    """No revision that can answer has the version."""

    def __init__(self, version: str, known: Sequence[str]) -> None:
        available = f"available: {', '.join(known)}" if known else "none is ready"
        super().__init__(f"no revision that is ready has version {version!r}; {available}")
        self.version = version
        self.known = tuple(known)


class NothingToRollBack(KnativeError):
    """There is no revision to go back to."""

    def __init__(self, service: str, problem: str) -> None:
        super().__init__(f"{problem}; choose a revision with --to, see: snooze versions {service}")
        self.service = service
        self.problem = problem


class RolloutUnderWay(KnativeError):
    """A rollout of the Service decides about its traffic."""

    exit_code = 1

    def __init__(self, service: str, state: str = "") -> None:
        super().__init__(
            f"a rollout of {service!r} is under way{state and f' ({state})'}, and decides where its requests go; wait "
            f"for its end, or end it with: snooze rollback {service}"
        )
        self.service = service

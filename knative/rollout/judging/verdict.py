"""What a rollout asks of those who judge it."""

from typing import NamedTuple, Protocol


class Verdict(NamedTuple):
    """What is known about the new revision since a step began."""

    requests: int  # that it has answered in this step, its own errors included
    problems: tuple[str, ...]  # each a sentence with its figures; one is enough to end the rollout
    summary: str  # the figures in one line, for whoever watches


class Judge(Protocol):
    """Compares the new revision with the old one during the steps of a rollout."""

    def begin(self) -> None:
        """Begin a step: what was counted before does not count any more."""

    def look(self) -> Verdict:
        """Return the verdict now; called about once a second."""

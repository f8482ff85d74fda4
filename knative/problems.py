"""What validation finds: where, what is wrong, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong with a manifest.

    `path` is the field's place, such as `spec.template.spec.timeoutSeconds`. A warning is legal, but costs something.
    """

    path: str
    problem: str
    remedy: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the known one most like it, or all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"

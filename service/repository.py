"""The models of one server: found, loaded, proved; which of them can answer, and why the others cannot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from snooze.bundle.errors import BundleError
from snooze.bundle.store import Found
from snooze.service import model as models
from snooze.service.errors import ServiceError
from snooze.service.model import Model
from snooze.service.settings import Ready


@dataclass(slots=True)
class Entry:
    """One version of one model: either loaded, or what was wrong with it."""

    name: str
    version: int
    model: Model | None
    error: BundleError | ServiceError | None = None


class Repository:
    """All entries by name and version. The highest version of a name is the one that answers when none is asked for."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.versions: dict[str, dict[int, Entry]] = {}
        for entry in sorted(entries, key=lambda one: (one.name, one.version)):
            self.versions.setdefault(entry.name, {})[entry.version] = entry

    @property
    def entries(self) -> list[Entry]:
        """Every entry, in order of name and version."""
        return [entry for versions in self.versions.values() for entry in versions.values()]

    def default(self, name: str) -> Entry:
        """Return the highest version of a model."""
        versions = self.versions[name]
        return versions[max(versions)]

    def unready(self, ready: Ready) -> str | None:
        """Return why the server is not ready, or None if it is: 'all' its models must be proved, or 'any' of them."""
        wrong = [entry for entry in self.entries if entry.model is None or not entry.model.proved]
        if not wrong or (ready == "any" and len(wrong) < len(self.entries)):
            return None
        first = wrong[0]
        return f"model '{first.name}' version {first.version}: {first.error or 'is not loaded yet'}"


def load(found: Sequence[Found], processors: int) -> Repository:
    """Load every bundle, its hashes checked, without running it. What is wrong with one stands in its entry."""
    return Repository(_load(one, processors) for one in found)


def prove(repository: Repository, mark: Callable[[str], None]) -> None:
    """Warm up each model and check its golden outputs; `mark` is told when which part of that is done."""
    for entry in repository.entries:
        if entry.model is None:
            continue
        try:
            samples = entry.model.samples()
            mark("golden")
            entry.model.warm_up(samples)
            mark("warm_up")
            entry.model.prove(samples)
        except (BundleError, ServiceError) as error:
            entry.model, entry.error = None, error
        mark("golden")


def check(repository: Repository, ready: Ready) -> None:
    """
    Raise what is wrong with the first model that hinders a start.

    Raises:
        BundleError, ServiceError: as met while loading or proving.
    """
    if repository.unready(ready) is not None:
        for entry in repository.entries:
            if entry.error is not None:
                raise entry.error


def _load(one: Found, processors: int) -> Entry:
    try:
        return Entry(one.name, one.version, models.load(one.name, one.version, one.folder, processors))
    except (BundleError, ServiceError) as error:
        return Entry(one.name, one.version, None, error)

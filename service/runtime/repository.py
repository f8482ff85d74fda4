"""The models of one server: loaded and proved; which of them can answer, and why the others cannot."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from snooze.bundle.errors import BundleError
from snooze.bundle.store import Found
from snooze.service.errors import ServiceError
from snooze.service.runtime import model as models
from snooze.service.runtime.model import Model
from snooze.service.settings import Ready

Problem: TypeAlias = BundleError | ServiceError


class Entry:
    """
    One version of one model: its model, or the error that prevents it from being served.

    With both, the model is served, and the error is that of another bundle which was to replace it.
    """

    __slots__ = ("error", "folder", "model", "name", "version")

    def __init__(
        self,
        name: str,
        version: int,
        model: Model | None,
        error: Problem | None = None,
        folder: Path = Path(),
    ) -> None:
        self.name = name
        self.version = version
        self.model = model
        self.error = error
        self.folder = folder


class Repository:
    """All entries by name and version. The highest version of a name that can answer is its default."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.versions: dict[str, dict[int, Entry]] = {}
        for entry in sorted(entries, key=lambda one: (one.name, one.version)):
            self.versions.setdefault(entry.name, {})[entry.version] = entry

    @property
    def entries(self) -> list[Entry]:
        """Every entry, ordered by name and version."""
        return [entry for versions in self.versions.values() for entry in versions.values()]

    def default(self, name: str) -> Entry:
        """Return the highest version of a model that can answer, or if none can, the highest."""
        return max(self.versions[name].values(), key=lambda one: (one.model is not None, one.version))

    def unready(self, ready: Ready) -> str | None:
        """Return why the server is not ready, or None: 'all' models must be proved, or 'any' of them."""
        missing = [entry for entry in self.entries if entry.model is None or not entry.model.proved]
        if not missing or (ready == "any" and len(missing) < len(self.entries)):
            return None
        first = missing[0]
        return f"model '{first.name}' version {first.version}: {first.error or 'is not loaded yet'}"


def load(found: Sequence[Found], processors: int) -> Repository:
    """Load every bundle and check its hashes, without running it. An entry keeps the error of its bundle."""
    return Repository(_load(one, processors) for one in found)


def prove(repository: Repository, mark: Callable[[str], None]) -> None:
    """Warm up each model and check its golden outputs; `mark` is called after each phase with its name."""
    for entry in repository.entries:
        if entry.model is None:
            continue
        try:
            samples = entry.model.samples()
            mark("golden")
            entry.model.load_adapter(samples)
            mark("adapter")
            entry.model.warm_up(samples)
            mark("warm_up")
            entry.model.prove(samples)
        except (BundleError, ServiceError) as error:
            entry.model, entry.error = None, _without_frames(error)
        mark("golden")


def check(repository: Repository, ready: Ready) -> None:
    """
    Check that the server may start.

    Raises:
        BundleError, ServiceError: the error of the first model that prevents it.
    """
    if repository.unready(ready) is not None:
        for entry in repository.entries:
            if entry.error is not None:
                raise entry.error


def _load(one: Found, processors: int) -> Entry:
    try:
        return Entry(one.name, one.version, models.load(one.folder, one.bundle, processors), None, one.folder)
    except (BundleError, ServiceError) as error:
        return Entry(one.name, one.version, None, _without_frames(error), one.folder)


def _without_frames(error: Problem) -> Problem:
    """Return an error that is kept, without the frames of its traceback: they would keep the model in memory."""
    error.__context__ = None
    return error.with_traceback(None)

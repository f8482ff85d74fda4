"""Which endpoints answer the aliases of a server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from snooze.service.aliases.codec import AliasCodec
from snooze.service.aliases.reading import Alias, read
from snooze.service.endpoint import Endpoint
from snooze.service.errors import InvalidAliases
from snooze.service.messages import Route
from snooze.service.protocols import plain
from snooze.service.runtime.model import Model
from snooze.service.runtime.repository import Entry, Repository
from snooze.service.state import ServerState


def load(files: Iterable[Path], routes: Sequence[Route], repository: Repository) -> tuple[Alias, ...]:
    """
    Return the aliases in some files, each of which fits its model. `routes` are the paths that they must not take.

    Raises:
        InvalidAliases: names the file, the alias, and what is wrong.
    """
    aliases = read(files, routes)
    for alias in aliases:
        entry = find(alias, repository)
        if entry is None:
            known = repository.versions.get(alias.model, repository.versions)
            wanted = f"version {alias.version} of " if alias.model in repository.versions else ""
            problem = f"there is no {wanted}model '{alias.model}'; available: {', '.join(map(str, known))}"
            raise InvalidAliases(alias.file, problem, alias.path)
        if entry.model is not None:
            AliasCodec(alias, entry.model.signature())
    return aliases


def find(alias: Alias, repository: Repository) -> Entry | None:
    """Return the version of the model that an alias asks for, or None if it does not exist."""
    if alias.model not in repository.versions:
        return None
    if alias.version is None:
        return repository.default(alias.model)
    return repository.versions[alias.model].get(alias.version)


def bind(aliases: Iterable[Alias], repository: Repository) -> Iterator[tuple[Alias, Entry, AliasCodec | None]]:
    """
    Yield each alias with the version of the model that answers it, and its codec if that can.

    After a reload an alias may not fit any more: without its model it is left out, and if its answer names what the new
    version does not have, the entry has no model, but the error.
    """
    for alias in aliases:
        entry = find(alias, repository)
        if entry is None:
            continue
        codec = None
        if entry.model is not None:
            try:
                codec = AliasCodec(alias, entry.model.signature())
            except InvalidAliases as error:
                entry = Entry(entry.name, entry.version, None, error, entry.folder)
        yield alias, entry, codec


def create_endpoints(
    aliases: Iterable[Alias], repository: Repository, endpoints: Mapping[Model, Sequence[Endpoint]], state: ServerState
) -> dict[str, Endpoint]:
    """Return what answers each alias, by path. `endpoints` are those that the models have already."""
    found: dict[str, Endpoint] = {}
    for alias, entry, codec in bind(aliases, repository):
        scheduler = None if entry.model is None else endpoints[entry.model][0].scheduler
        found[alias.path] = Endpoint(state, entry, codec or plain, scheduler)
    return found

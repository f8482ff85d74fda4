"""
Models that come and go while the server answers: found again on disk, loaded beside those that are served, proved, and
only then served.

* A bundle whose contract is the same keeps its session, wherever it lies now.
* A new bundle is hashed, loaded and proved in a thread. If it is refused, the repository index says why, and what was
  served before stays. It is tried again when its files change.
* A version that is gone from the disk is unloaded, unless what takes its place cannot answer (yet).
* Aliases are read with every update; if something is wrong with one, those of before stay.
* A model that a client has unloaded stays unloaded until a client loads it.

Requests that have begun are answered by the model they found; its memory is released with the last of them.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from snooze.bundle.errors import BundleError
from snooze.bundle.evidence import read_profile
from snooze.bundle.store import Found, find_folders
from snooze.service.errors import InvalidAliases, InvalidRequest, NotEnoughMemory, ServiceError, Unloaded
from snooze.service.process import memory
from snooze.service.process.locate import locate, locate_aliases
from snooze.service.runtime.repository import Entry, Repository, load, prove
from snooze.service.settings import Settings

if TYPE_CHECKING:
    from snooze.service.aliases.reading import Alias
    from snooze.service.app import Application

POLL: Final = 1.0  # seconds between two looks at the disk

T = TypeVar("T")
# A folder's files as the kernel describes them: name, inode, size and time of the last change.
Files: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Reloader:
    """Keeps the models of an application as they are on disk: once (SIGHUP), all the time (`watch`), or one by one."""

    def __init__(self, app: "Application", processors: int) -> None:
        self._app = app
        self._processors = processors
        self._paths = app.settings.models
        self._tried: dict[Path, Files] = {entry.folder: () for entry in app.repository.entries}
        self._seen = dict(self._tried)
        self._unloaded: set[str] = set()
        self._problem = ""
        self._thread = ThreadPoolExecutor(1, "reload")
        self._lock = asyncio.Lock()
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Serve what `ask` asks for, and with the setting `watch` look at the disk once a second."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def ask(self) -> None:
        """Look for changes soon; several calls before that are one."""
        self._asked.set()
        self.begin()

    def end(self) -> None:
        """Begin nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def load(self, name: str) -> None:
        """
        Load what is on disk of one model.

        Raises:
            InvalidRequest: there is nothing, or its highest version is refused.
        """
        self._unloaded.discard(name)
        try:
            await self._update(only=name)
        except (BundleError, ServiceError) as error:
            raise InvalidRequest(f"model '{name}' cannot be loaded: {error}") from None
        versions = self._app.repository.versions[name]
        error_of_highest = versions[max(versions)].error
        if error_of_highest is not None:
            raise InvalidRequest(f"model '{name}' cannot be loaded: {error_of_highest}")

    async def unload(self, name: str) -> None:
        """
        Stop serving all versions of a model.

        Raises:
            InvalidRequest: there is no such model.
        """
        async with self._lock:
            entries = self._app.repository.entries
            if all(entry.name != name for entry in entries):
                raise InvalidRequest(f"no model '{name}'; POST /v2/repository/index lists the models")
            self._unloaded.add(name)
            self._replace(
                Repository(
                    Entry(name, one.version, None, Unloaded(), one.folder) if one.name == name else one
                    for one in entries
                )
            )

    async def _follow(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), POLL if self._app.settings.watch else None)
            except TimeoutError:
                await self._try(self._poll)
                continue
            self._asked.clear()
            self._problem = ""
            await self._try(self._reload)

    async def _poll(self) -> None:
        """Update what has changed, but not since the last look: a bundle that is being copied is left alone."""
        before, now = self._seen, await self._run(look, self._app.settings)
        self._seen = now
        settled = {folder for folder in now if now[folder] == before.get(folder) != self._tried.get(folder)}
        if settled or self._tried.keys() - now.keys() - before.keys():
            # Whatever comes of it, a bundle is not tried again before its files change.
            self._tried = {
                f: now[f] if f in settled else self._tried[f] for f in now if f in settled or f in self._tried
            }
            await self._update(settled)
        self._problem = ""

    async def _reload(self) -> None:
        self._tried = self._seen = await self._run(look, self._app.settings)
        await self._update()
        entries = self._app.repository.entries
        served = ", ".join(f"{one.name}/{one.version}" for one in entries if one.model)
        others = "".join(f"; not {one.name}/{one.version}: {one.error}" for one in entries if one.error)
        self._app.state.log.write("reload", f"reloaded, serving {served or 'nothing'}{others}")

    async def _update(self, folders: Collection[Path] | None = None, only: str | None = None) -> None:
        """
        Serve what is on disk in these folders (all by default), and of one model (all by default). The rest stays.

        Raises:
            BundleError, ServiceError: nothing is served from one of the paths, or a bundle is there twice.
        """
        async with self._lock:
            found = [one for one in await self._run(locate, self._paths) if only in (None, one.name)]
            if not found:
                raise InvalidRequest(f"there is no bundle of it in {', '.join(map(str, self._paths))}")
            before = [one for one in self._app.repository.entries if only in (None, one.name)]
            entries: dict[tuple[str, int], Entry] = {}
            for one in found:
                if folders is None or one.folder in folders:
                    renewed = [await self._renew(one)]
                else:
                    renewed = [entry for entry in before if entry.folder == one.folder]
                entries |= {(entry.name, entry.version): entry for entry in renewed}
            kept = [one for one in before if (one.name, one.version) not in entries]
            kept = [one for one in kept if _must_stay(one, found, entries.values())]
            others = [one for one in self._app.repository.entries if only not in (None, one.name)]
            repository = Repository([*entries.values(), *kept, *others])
            self._replace(repository, await self._read_aliases(repository))

    async def _renew(self, found: Found) -> Entry:
        """Return the entry of a bundle: the present one if it is the same, otherwise it is loaded."""
        name, version, folder, contract = found
        present = self._app.repository.versions.get(name, {}).get(version)
        model = present.model if present is not None else None
        if name in self._unloaded:
            return Entry(name, version, None, Unloaded(), folder)
        if model is not None and model.bundle == contract:
            return Entry(name, version, model, None, folder)
        begin = perf_counter()
        entry = await self._run(_load, found, self._processors)
        log = self._app.state.log
        if entry.model is not None:
            took = f"{(perf_counter() - begin) * 1e3:.0f} ms"
            log.write("loaded", f"loaded {name}/{version} from {folder} in {took}", model=name, version=version)
        else:
            entry.model = model  # it stays, if another bundle of the same version was to replace it
            if present is None or str(present.error) != str(entry.error):
                log.write("refused", f"refused {name}/{version}: {entry.error}", model=name, version=version)
        return entry

    async def _read_aliases(self, repository: Repository) -> "tuple[Alias, ...] | None":
        """Return the aliases on disk, or None if something is wrong with one and those of before stay."""
        try:
            return await self._run(self._app.read_aliases, repository)
        except InvalidAliases as error:
            self._app.state.log.write("refused", f"the aliases stay as they were: {error}")
            return None

    def _replace(self, repository: Repository, aliases: "tuple[Alias, ...] | None" = None) -> None:
        before = self._app.repository.entries
        self._app.replace(repository, aliases)
        present = {entry.model for entry in self._app.repository.entries}
        for one in before:
            if one.model is not None and one.model not in present:
                text = f"unloaded {one.name}/{one.version}"
                self._app.state.log.write("unloaded", text, model=one.name, version=one.version)

    async def _try(self, update: Callable[[], Awaitable[None]]) -> None:
        """Log what prevents an update; the same problem only once."""
        try:
            await update()
        except Exception as error:
            known = isinstance(error, BundleError | ServiceError)
            problem = str(error) if known else f"{type(error).__name__}: {error}"
            if problem != self._problem:
                self._app.state.log.write("refused", f"nothing is reloaded: {problem}")
            self._problem = problem

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def look(settings: Settings) -> dict[Path, Files]:
    """
    Return the files in the folder of each bundle, and each file of aliases, without opening one. Links are followed.

    Raises:
        BundleError: a path holds no bundle.
    """
    aliases = {file: _look_at([file]) for file in locate_aliases(settings)}
    return {folder: _look_into(folder) for path in settings.models for folder in find_folders(path)} | aliases


def _look_into(folder: Path) -> Files:
    try:
        return _look_at(os.scandir(folder))
    except OSError:
        return ()  # to open it will say why


def _look_at(entries: "Iterable[os.DirEntry[str] | Path]") -> Files:
    files = []
    for entry in entries:
        try:
            stat = entry.stat()
        except OSError:  # a link that leads nowhere, or it has just been removed
            continue
        files.append((entry.name, stat.st_ino, stat.st_size, stat.st_ctime_ns))
    return tuple(sorted(files))


def _must_stay(gone: Entry, found: Collection[Found], served: Collection[Entry]) -> bool:
    """Return whether a version that is not on disk any more is still to be served: what replaces it cannot answer."""

    def replaces(one: Found | Entry) -> bool:
        return one.name == gone.name or one.folder == gone.folder

    has_successor = any(one.model is not None and replaces(one) for one in served)
    return gone.model is not None and any(map(replaces, found)) and not has_successor


def _load(found: Found, processors: int) -> Entry:
    """Return the bundle's model, loaded and proved beside what is loaded already, or why that cannot be."""
    free = memory.free()
    if free is not None and found.error is None and (needed := _estimate_memory(found)) > free:
        error = NotEnoughMemory(found.folder, needed, free)
        return Entry(found.name, found.version, None, error, found.folder)
    alone = load([found], processors)
    prove(alone, lambda phase: None)
    return alone.entries[0]


def _estimate_memory(found: Found) -> int:
    """Return the bytes that loading and running the model takes at most, as measured, or the size of its files."""
    try:
        steps = read_profile(found.bundle).memory
        return steps.runs.peak - steps.imported.resident
    except BundleError:
        return sum((found.folder / name).stat().st_size for name in found.bundle.files)

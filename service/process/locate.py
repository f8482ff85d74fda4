"""
The bundles that a server is to serve, and its files of aliases.

No model is read: the parent that only holds a socket looks, too.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from snooze.bundle.store import Found, find
from snooze.service.errors import NothingToServe
from snooze.service.settings import Settings

ALIASES: Final = "aliases.json"


def locate(paths: Sequence[Path]) -> list[Found]:
    """
    Return the bundles at `paths`. Their files are not checked yet; a contract that cannot be read is in `Found.error`.

    Raises:
        BundleError: a path holds none.
        NothingToServe: no path was given, or two bundles have the same name and version.
    """
    found = [one for path in paths for one in find(path)]
    if not found:
        raise NothingToServe("no path was given; name a repository or a bundle, or set SNOOZE_MODELS")
    seen: dict[tuple[str, int], Path] = {}
    for one in found:
        key = one.name, one.version
        if key in seen:
            raise NothingToServe(f"{seen[key]} and {one.folder} are both model '{one.name}' version {one.version}")
        seen[key] = one.folder
    return found


def locate_aliases(settings: Settings) -> list[Path]:
    """Return the files of aliases: the one of the setting, otherwise those in the folders that are served."""
    if settings.aliases:
        return [Path(settings.aliases).resolve()]
    return [path / ALIASES for path in settings.models if os.path.lexists(path / ALIASES)]

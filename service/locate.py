"""Which bundles a server was told to serve. Reads no model: the parent that only holds a socket asks as well."""

from collections.abc import Sequence
from pathlib import Path

from snooze.bundle.store import Found, find, read
from snooze.service.errors import NothingToServe


def locate(paths: Sequence[Path]) -> list[Found]:
    """
    Return the bundles at `paths`. Their contracts can be read; their files are not yet looked at.

    Raises:
        BundleError: a path holds none.
        NothingToServe: no path was given, or two bundles have the same name and version.
    """
    found = [one for path in paths for one in find(path)]
    if not found:
        raise NothingToServe("no path was given; name a repository or a bundle, or set SNOOZE_MODELS")
    seen: dict[tuple[str, int], Path] = {}
    for one in found:
        other = seen.setdefault((one.name, one.version), one.folder)
        if other is not one.folder:
            raise NothingToServe(f"{other} and {one.folder} are both model '{one.name}' version {one.version}")
    return found


def readable(found: Sequence[Found]) -> None:
    """
    Check that the contracts can be read.

    Raises:
        BundleError: says precisely what is wrong with the first that cannot.
    """
    for one in found:
        read(one.folder)

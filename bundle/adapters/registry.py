"""The kinds of adapters. The module of a kind, and its library, are imported only for bundles that need them."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from snooze.bundle.adapters.interface import Adapter, Kind
from snooze.bundle.codec import read, show
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidContract

KINDS: Final = ("table", "image", "text")


def declaration(document: Mapping[str, Any]) -> Any:
    """
    Return the declaration in the `adapter` of a contract, as the type of its kind.

    Raises:
        InvalidContract: this version does not know the kind, or a field is not what it must be.
    """
    return read(find(document.get("kind")).Declaration, dict(document), "adapter")


def check(bundle: Bundle) -> None:
    """Check the adapter of a contract, if it has one. Raises InvalidContract."""
    if bundle.adapter is not None:
        declared = declaration(bundle.adapter)
        find(declared.kind).check(declared, bundle)


def load(bundle: Bundle, folder: Path) -> Adapter | None:
    """
    Return the adapter of the bundle in `folder`, None if it has none.

    Raises:
        MissingExtra: its library is not installed.
        InvalidData: a file of it cannot be read.
    """
    if bundle.adapter is None:
        return None
    declared = declaration(bundle.adapter)
    return find(declared.kind).load(declared, bundle.inputs, folder)


def find(kind: object) -> Kind:
    """Return the kind with this name. Raises InvalidContract if this version does not know it."""
    if kind not in KINDS:
        raise InvalidContract("adapter.kind", f"expected one of {', '.join(KINDS)}, got {show(kind)}")
    return cast("Kind", import_module(f"snooze.bundle.adapters.{kind}"))

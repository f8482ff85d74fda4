"""The contract between what converts a model and what serves it: a folder of files and its `bundle.json`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.bundle.codec import decode, encode
    from snooze.bundle.contract import (
        Batching,
        Bundle,
        Evidence,
        Profile,
        Run,
        Session,
        Source,
        Tensor,
        Tolerance,
    )
    from snooze.bundle.datatypes import DATATYPES, NAMES
    from snooze.bundle.draft import Draft
    from snooze.bundle.errors import BundleError
    from snooze.bundle.samples import Samples, matches, read_samples, write_samples
    from snooze.bundle.store import Found, find, latest, read, verify

_HOMES = {
    "codec": ("decode", "encode"),
    "contract": ("Batching", "Bundle", "Evidence", "Profile", "Run", "Session", "Source", "Tensor", "Tolerance"),
    "datatypes": ("DATATYPES", "NAMES"),
    "draft": ("Draft",),
    "errors": ("BundleError",),
    "samples": ("Samples", "matches", "read_samples", "write_samples"),
    "store": ("Found", "find", "latest", "read", "verify"),
}

__all__ = [
    "DATATYPES",
    "NAMES",
    "Batching",
    "Bundle",
    "BundleError",
    "Draft",
    "Evidence",
    "Found",
    "Profile",
    "Run",
    "Samples",
    "Session",
    "Source",
    "Tensor",
    "Tolerance",
    "decode",
    "encode",
    "find",
    "latest",
    "matches",
    "read",
    "read_samples",
    "verify",
    "write_samples",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command's help needs none of it."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"snooze.bundle.{module}"), name)
    raise AttributeError(f"module 'snooze.bundle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

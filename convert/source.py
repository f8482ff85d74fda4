"""Where a model comes from: finds its framework, reads it, and describes it for the bundle."""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from snooze.bundle.contract import Source
from snooze.bundle.store import sha256
from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.registry import find, frameworks

GIT_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Model:
    """A model in memory, its framework, the file or folder it was read from, and warnings for the user about it."""

    model: Any
    framework: Framework
    file: Path | None = None
    warnings: tuple[str, ...] = ()


def recognize_file(path: Path, framework: str | None = None) -> Framework:
    """
    Return the framework of a file or folder: the named one, else by content, else by the suffix of a damaged file.

    Raises:
        NotAModel: there is no model.
    """
    _check_file(path)
    if framework is not None:
        return find(framework)
    for found in frameworks():
        if found.recognizes_file(path):
            return found
    for found in frameworks():
        if path.suffix.lower() in found.suffixes and path.is_file():
            return found
    kind = "is a folder without a model" if path.is_dir() else "is not a model that can be read"
    raise NotAModel(str(path), f"{kind}; expected {_formats()}")


def read_model(source: object, trust: bool = False, framework: str | None = None) -> Model:
    """
    Return the model that `source` is, or that is in the file or folder of this path.

    Raises:
        NotAModel: it is neither a model nor a file with one.
        Untrusted: reading the file may run code, and `trust` was not given.
    """
    if not isinstance(source, str | Path):
        return Model(source, find(framework) if framework else _recognize(source))
    path = Path(source)
    found = recognize_file(path, framework)
    if found.needs_trust(path) and not trust:
        raise Untrusted(str(path))
    model, warnings = found.load(path, trust)
    # A pickle may hold a model of another framework than the one that unpickles it.
    return Model(model, found if found.recognizes(model) else _recognize(model, path), path, warnings)


def describe(model: Model, original: Original, arguments: Sequence[str] | None) -> Source:
    """Return the bundle's record of the source; its command line is that of `snooze convert` only."""
    return Source(
        framework=original.framework,
        framework_version=original.framework_version,
        file=model.file.name if model.file else None,
        sha256=sha256(model.file).removeprefix("sha256:") if model.file and model.file.is_file() else None,
        git=_commit(),
        command=shlex.join(["snooze", "convert", *arguments]) if arguments is not None else None,
    )


def _recognize(model: object, path: Path | None = None) -> Framework:
    for framework in frameworks():
        if framework.recognizes(model):
            return framework
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if path is not None:
        raise NotAModel(str(path), f"contains a {kind}, expected a model")
    raise NotAModel(kind, f"expected a file or a model ({_formats()})")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NotAModel(str(path), "does not exist")
    if not path.is_file() and not path.is_dir():
        raise NotAModel(str(path), f"is not a regular file; expected {_formats()}")
    if path.is_file() and path.stat().st_size == 0:
        raise NotAModel(str(path), "is empty; save the model again")


def _formats() -> str:
    return ", ".join(framework.formats for framework in frameworks())


def _commit() -> str | None:
    """Return the commit of the current folder's git repository, if it is in one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, timeout=GIT_SECONDS, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None

"""Where a model comes from: what kind of file or object it is, and how it is remembered in the bundle."""

import shlex
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from snooze.bundle.contract import Source
from snooze.bundle.store import sha256
from snooze.convert.errors import NotAModel, Untrusted

Framework = Literal["sklearn", "keras"]
FRAMEWORKS: Final[tuple[Framework, ...]] = ("sklearn", "keras")
SUFFIXES: Final[dict[str, Framework]] = {
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".keras": "keras",
}
READS: Final = "what is read: .joblib, .pkl or .pickle with --trust (scikit-learn), .keras"
GIT_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Opened:
    """A model in memory, the framework it belongs to, and the file it was read from, if any."""

    model: Any
    framework: Framework
    file: Path | None = None
    notes: tuple[str, ...] = ()  # what a user should mind

    @property
    def converter(self) -> ModuleType:
        """The module that converts models of this framework."""
        return converter(self.framework)


def converter(framework: Framework) -> ModuleType:
    """Return the only module that imports this framework, which it does when one of its functions is called."""
    if framework == "sklearn":
        from snooze.convert.frameworks.sklearn import framework as sklearn

        return sklearn
    from snooze.convert.frameworks.keras import framework as keras

    return keras


def opened(source: object, trust: bool = False, framework: Framework | None = None) -> Opened:
    """
    Return the model that `source` is or names.

    Args:
        source: a fitted scikit-learn estimator, a Keras model, or the path of a file that holds one.
        trust: whether the file may be read although reading it runs the code in it.
        framework: whose file it is, where its name does not tell.

    Raises:
        NotAModel: it is neither a model nor a file with one.
        Untrusted: it is a pickle, and `trust` was not given.
    """
    if not isinstance(source, str | Path):
        return Opened(source, _framework_of(source))
    path = Path(source)
    _check_file(path)
    framework = framework or _framework_in(path)
    if framework == "sklearn" and not trust:
        raise Untrusted(str(path))
    model, notes = converter(framework).load(path)
    return Opened(model, framework, path, notes)


def described(model: Opened, version: str, name: str, arguments: Sequence[str] | None) -> Source:
    """Return what the bundle says of the source: never more of the command line than snooze itself was given."""
    return Source(
        framework=name,
        framework_version=version,
        file=model.file.name if model.file else None,
        sha256=sha256(model.file).removeprefix("sha256:") if model.file else None,
        git=_commit(),
        command=shlex.join(["snooze", "convert", *arguments]) if arguments is not None else None,
    )


def _framework_of(model: object) -> Framework:
    families = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    for framework in FRAMEWORKS:
        if framework in families:
            return framework
    kind = type(model)
    raise NotAModel(f"{kind.__module__}.{kind.__qualname__}", "is neither a scikit-learn estimator nor a Keras model")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise NotAModel(str(path), f"is a folder, expected a file; {READS}")
    if not path.exists():
        raise NotAModel(str(path), "there is no such file")
    if not path.is_file():
        raise NotAModel(str(path), f"is not a regular file; {READS}")
    if path.stat().st_size == 0:
        raise NotAModel(str(path), "is empty; save the model again")


def _framework_in(path: Path) -> Framework:
    """Tell by the file's name, otherwise by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    with path.open("rb") as file:
        begin = file.read(4)
    if begin[:1] == b"\x80" and begin[1:2] in b"\x02\x03\x04\x05":  # a pickle of protocol 2 to 5
        return "sklearn"
    if begin[:2] == b"PK" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                return "keras"
    raise NotAModel(str(path), f"is not a model that can be read; {READS}")


def _commit() -> str | None:
    """Return the commit of the current folder's git repository, if it is in one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, timeout=GIT_SECONDS, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None

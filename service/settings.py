"""
How a server runs. Read once at the start, from the environment or the command line; everything else gets values.

Each field of `Settings` says in its metadata which environment variable sets it and what it means:
`documented()` is what `docs/settings.md` is checked against.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

from snooze.service.errors import InvalidSetting

Ready = Literal["all", "any"]
Log = Literal["text", "json", "off"]

READY: Final = ("all", "any")
LOG: Final = ("text", "json", "off")
UNITS: Final = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SECONDS: Final = {"": 1.0, "MS": 0.001, "S": 1.0, "M": 60.0, "MIN": 60.0, "H": 3600.0}


def _says(variable: str, meaning: str) -> dict[str, str]:
    return {"variable": variable, "meaning": meaning}


ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  (a container is reached from outside; the command's default is 127.0.0.1)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a server can be told. Sizes are bytes, times are seconds."""

    host: str = field(
        default=ANY_ADDRESS,
        metadata=_says("SNOOZE_HOST", "address to listen on; of `snooze serve`: 127.0.0.1"),
    )
    port: int = field(
        default=8080,
        metadata=_says("PORT", "port to listen on; Knative sets it; 0 takes a free one"),
    )
    models: tuple[Path, ...] = field(
        default=(Path("/models"),),
        metadata=_says("SNOOZE_MODELS", "repositories, models or bundles to serve, separated by ':'"),
    )
    ready: Ready = field(
        default="all",
        metadata=_says("SNOOZE_READY", "start only if 'all' bundles are right, or already if 'any' one is"),
    )
    max_body: int = field(
        default=16 * 2**20,
        metadata=_says("SNOOZE_MAX_BODY", "largest body of a request, also decompressed: bytes, or with KiB, MiB, GiB"),
    )
    max_in_flight: int = field(
        default=1024,
        metadata=_says("SNOOZE_MAX_IN_FLIGHT", "predictions at once; one more is answered 429"),
    )
    timeout: float = field(
        default=0.0,
        metadata=_says("SNOOZE_TIMEOUT", "time for a request that states none, such as 500ms or 5s; 0 is no limit"),
    )
    grace: float = field(
        default=30.0,
        metadata=_says("SNOOZE_GRACE", "longest wait for running requests after SIGTERM"),
    )
    idle: float = field(
        default=0.0,
        metadata=_says("SNOOZE_IDLE", "end after so long without a request, such as 60s or 5m; 0 is never"),
    )
    threads: int = field(
        default=0,
        metadata=_says("SNOOZE_THREADS", "most threads of one run; 0 is what the container's CPU limit allows"),
    )
    log: Log = field(
        default="text",
        metadata=_says("SNOOZE_LOG", "lines on stderr as 'text' or 'json', or 'off'; bodies are never logged"),
    )
    revision: str = field(
        default="",
        metadata=_says("K_REVISION", "answered as Snooze-Revision; Knative sets it"),
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **defaults: Any) -> "Settings":
        """
        Return what the environment says. A variable that is not set leaves the value of `defaults`, or the field's own.

        Raises:
            InvalidSetting: names the variable, its value and what was expected.
        """
        values: dict[str, Any] = dict(defaults)
        for one in fields(cls):
            variable = one.metadata["variable"]
            text = environ.get(variable, "")
            if text:
                values[one.name] = parse(one.name, text, variable)
        return cls(**values)

    def to_environ(self) -> dict[str, str]:
        """Return the environment that says the same to another process."""
        return {one.metadata["variable"]: _shown(getattr(self, one.name)) for one in fields(self)}


def documented() -> list[tuple[str, str, str]]:
    """Return (variable, default, meaning) for every setting, in their order."""
    return [(one.metadata["variable"], _shown(one.default), one.metadata["meaning"]) for one in fields(Settings)]


def parse(name: str, text: str, variable: str) -> Any:
    """
    Return the value of the setting `name` that `text` says.

    Raises:
        InvalidSetting: names `variable`.
    """
    text = text.strip()
    if name == "models":
        return tuple(Path(part) for part in text.split(os.pathsep) if part)
    if name in ("ready", "log"):
        return _choice(text, READY if name == "ready" else LOG, variable)
    if name == "port":
        return _integer(text, 0, 65535, variable)
    if name == "max_in_flight":
        return _integer(text, 1, 1_000_000, variable)
    if name == "threads":
        return _integer(text, 0, 1024, variable)
    if name == "max_body":
        return size(text, variable)
    if name in ("timeout", "grace", "idle"):
        return duration(text, variable)
    if not text.isascii() or not text.isprintable():
        raise InvalidSetting(variable, text, "expected printable ASCII")
    return text


def size(text: str, variable: str) -> int:
    """Return a number of bytes: `16777216`, `16MiB`, `64 kB`."""
    number = text.rstrip("BbIiKkMmGg ")
    factor = UNITS.get(text[len(number) :].strip().upper())
    if factor is None or not number.isascii() or not number.isdigit() or int(number) == 0:
        raise InvalidSetting(variable, text, "expected a number of bytes such as 16777216 or 16MiB")
    return int(number) * factor


def duration(text: str, variable: str) -> float:
    """Return a number of seconds: `60`, `60s`, `1.5m`, `250ms`."""
    number = text.rstrip("smhinSMHIN ")
    factor = SECONDS.get(text[len(number) :].strip().upper())
    try:
        value = float(number) * (factor or 0.0)
    except ValueError:
        value = -1.0
    if factor is None or not 0.0 <= value < 1e7:
        raise InvalidSetting(variable, text, "expected a time such as 60s, 500ms or 5m")
    return value


def _choice(text: str, known: tuple[str, ...], variable: str) -> str:
    if text not in known:
        raise InvalidSetting(variable, text, f"expected one of: {', '.join(known)}")
    return text


def _integer(text: str, least: int, most: int, variable: str) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise InvalidSetting(variable, text, f"expected a whole number from {least} to {most}")
    return int(text)


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return os.pathsep.join(map(str, cast("tuple[Path, ...]", default)))
    if isinstance(default, float):
        return f"{default:g}"
    return str(default)

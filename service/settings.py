"""
How a server runs. Read once at the start, from the environment or the command line; the rest of the code gets values.

Each field of `Settings` has its environment variable and its meaning; `documented()` is what `docs/settings.md` is
checked against. A NamedTuple, because each cold start creates this class, and a dataclass takes five times as long.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from snooze.service.errors import InvalidSetting

Ready = Literal["all", "any"]
Log = Literal["text", "json", "off"]

CHOICES: Final = {"ready": ("all", "any"), "log": ("text", "json", "off"), "batching": ("auto", "off")}
SWITCHES: Final = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
INTEGERS: Final = {
    "port": (0, 65535),
    "memory": (0, 0),
    "max_body": (0, 0),
    "max_connections": (1, 1_000_000),
    "max_in_flight": (1, 1_000_000),
    "threads": (0, 1024),
}

ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  (a container is reached from outside; the command's default is 127.0.0.1)
_DOCUMENTED: Final[list[tuple[str, str]]] = []  # variable and meaning of each field, in their order


def _setting(default: Any, variable: str, meaning: str) -> Any:
    _DOCUMENTED.append((variable, meaning))
    return default


class Settings(NamedTuple):
    """All settings of a server. Sizes are bytes, durations are seconds."""

    host: str = _setting(ANY_ADDRESS, "SNOOZE_HOST", "address to listen on; `snooze serve`: 127.0.0.1")
    port: int = _setting(8080, "PORT", "port to listen on; Knative sets it; 0 takes a free one")
    models: tuple[Path, ...] = _setting(
        (Path("/models"),), "SNOOZE_MODELS", "repositories, models or bundles to serve, separated by ':'"
    )
    aliases: str = _setting("", "SNOOZE_ALIASES", "file of aliases, instead of the aliases.json of the repositories")
    ready: Literal["all", "any"] = _setting(
        "all", "SNOOZE_READY", "start only if 'all' bundles can be served, or if 'any' one can"
    )
    memory: int = _setting(
        0,
        "SNOOZE_MEMORY",
        "memory that requests may take together, such as 64MiB; 0 follows from the container's limit",
    )
    max_body: int = _setting(
        0, "SNOOZE_MAX_BODY", "largest body of a request, also decompressed, such as 16MiB; 0 follows from the memory"
    )
    max_connections: int = _setting(
        4096, "SNOOZE_MAX_CONNECTIONS", "clients connected at once; one more is answered 503"
    )
    client_timeout: float = _setting(
        10.0, "SNOOZE_CLIENT_TIMEOUT", "longest wait for the rest of a request, or for a client to read its answer"
    )
    max_in_flight: int = _setting(
        1024, "SNOOZE_MAX_IN_FLIGHT", "predictions that wait or run in threads; one more is answered 429"
    )
    timeout: float = _setting(
        0.0, "SNOOZE_TIMEOUT", "limit for a request that states none, such as 500ms; 0 is no limit"
    )
    max_wait: float = _setting(
        30.0, "SNOOZE_MAX_WAIT", "longest predicted wait for a run, such as 500ms; one more is answered 429"
    )
    batching: Literal["auto", "off"] = _setting(
        "auto", "SNOOZE_BATCHING", "'auto' joins requests where the bundle's profile promises a gain; or 'off'"
    )
    grace: float = _setting(30.0, "SNOOZE_GRACE", "longest wait for running requests after SIGTERM")
    idle: float = _setting(0.0, "SNOOZE_IDLE", "end after so long without a request, such as 5min; 0 is never")
    watch: bool = _setting(False, "SNOOZE_WATCH", "'on': load new versions when they appear on disk, or 'off'")
    allow_load: bool = _setting(
        False, "SNOOZE_ALLOW_LOAD", "'on': clients may load and unload models over HTTP, or 'off'"
    )
    pages: bool = _setting(True, "SNOOZE_PAGES", "'on': pages for people at / and /docs, or 'off'")
    report: bool = _setting(
        False, "SNOOZE_REPORT", "'on': clients may read the report of a model, which tells of its data, or 'off'"
    )
    threads: int = _setting(0, "SNOOZE_THREADS", "most threads of one run; 0 is the container's CPU limit")
    log: Literal["text", "json", "off"] = _setting(
        "text", "SNOOZE_LOG", "lines on stderr as 'text' or 'json', or 'off'; bodies are never logged"
    )
    revision: str = _setting("", "K_REVISION", "answered as Snooze-Revision; Knative sets it")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **defaults: Any) -> "Settings":
        """
        Return the settings of an environment. A variable that is not set leaves the value of `defaults` or the field.

        Raises:
            InvalidSetting: names the variable, its value and what was expected.
        """
        values: dict[str, Any] = dict(defaults)
        for name, (variable, _) in zip(cls._fields, _DOCUMENTED, strict=True):
            if text := environ.get(variable):
                values[name] = parse(name, text, variable)
        return cls(**values)

    def to_environ(self) -> dict[str, str]:
        """Return the environment that gives another process the same settings."""
        return {variable: _format(value) for value, (variable, _) in zip(self, _DOCUMENTED, strict=True)}


def documented() -> list[tuple[str, str, str]]:
    """Return (variable, default, meaning) for every setting, in their order."""
    return [
        (variable, _format(default), meaning)
        for default, (variable, meaning) in zip(Settings(), _DOCUMENTED, strict=True)
    ]


def parse(name: str, text: str, variable: str) -> Any:
    """
    Return the value of the setting `name`.

    Raises:
        InvalidSetting: names `variable`, which may also be an option of the command.
    """
    try:
        return _parse(name, text.strip())
    except ValueError as error:
        raise InvalidSetting(variable, text, str(error).partition(", got ")[0]) from None


def _parse(name: str, text: str) -> Any:
    match name:
        case "models":
            return tuple(Path(part) for part in text.split(os.pathsep) if part)
        case "aliases":
            return text
        case "memory" | "max_body" if text != "0":
            from snooze.bundle.units import parse_size  # here, because most cold starts set no such variable

            return parse_size(text)
        case "timeout" | "max_wait" | "grace" | "idle" | "client_timeout":
            from snooze.bundle.units import parse_duration

            return parse_duration(text)
        case "watch" | "allow_load" | "pages" | "report":
            if text.lower() not in SWITCHES:
                raise ValueError("expected one of: on, off")
            return SWITCHES[text.lower()]
    if name in CHOICES and text not in CHOICES[name]:
        raise ValueError(f"expected one of: {', '.join(CHOICES[name])}")
    if name in INTEGERS:
        least, most = INTEGERS[name]
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"expected an integer from {least} to {most}")
        return int(text)
    if not text.isascii() or not text.isprintable():
        raise ValueError("expected printable ASCII")
    return text


def _format(value: object) -> str:
    if isinstance(value, tuple):
        return os.pathsep.join(map(str, cast("tuple[Path, ...]", value)))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)

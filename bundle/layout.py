"""Text for people: quantities with their units, columns that line up, and whatever JSON holds in few lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from snooze.bundle.units import format_duration, format_size

WIDTH: Final = 100
MOST_SHOWN: Final = 8
MOST_ROWS: Final = 50


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """Yield rows as lines whose columns line up; those numbered in `right` at their right edge."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def scalar(value: object, key: str = "") -> str:
    """Return a single value. Its key may tell its unit: `seconds` or `..._seconds`, `bytes` or `..._bytes`."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if key.split("_")[-1] == "seconds":
            return format_duration(value)
        return (
            format_size(value)
            if key.split("_")[-1] == "bytes"
            else f"{value:,}"
            if type(value) is int
            else f"{value:.4g}"
        )
    return printable(str(value))


def printable(text: str) -> str:
    """Return a text in which nothing can steer a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def described(key: str, value: Any) -> Iterator[str]:
    """Yield a key and whatever it holds: on one line where that suffices, otherwise on lines below it."""
    text = _on_one_line(key, value)
    if text is not None:
        yield f"{printable(key)}: {text or 'none'}"
        return
    yield f"{printable(key)}:"
    yield from (f"  {line}" for line in below(value))


def below(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[str]:
    """Yield what an object or a list holds: single values side by side, like objects as a table, others one by one."""
    if isinstance(value, Mapping):
        yield from _wrapped([f"{printable(key)} {scalar(item, key)}" for key, item in value.items() if _single(item)])
        inner = [(key, item) for key, item in value.items() if not _single(item)]
    elif all(isinstance(item, Mapping) and item and all(map(_single, item.values())) for item in value):
        yield from _table(value)
        return
    else:
        inner = [(str(i + 1), item) for i, item in enumerate(value)]
    for key, item in inner:
        yield from described(key, item)


def _single(value: object) -> bool:
    return not isinstance(value, Mapping | list | tuple)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    shown = [[scalar(row[key], key) if key in row else "-" for key in keys] for row in rows[:MOST_ROWS]]
    yield from columns([[printable(key) for key in keys], *shown])
    if len(rows) > MOST_ROWS:
        yield f"... ({len(rows)} rows; --json has all)"


def _wrapped(items: Sequence[str]) -> Iterator[str]:
    line = ""
    for item in items:
        if line and len(line) + len(item) > WIDTH:
            yield f"{line},"
            line = ""
        line += f", {item}" if line else item
    if line:
        yield line


def _on_one_line(key: str, value: Any) -> str | None:
    if isinstance(value, Mapping):
        if not all(map(_single, value.values())):
            return None
        text = ", ".join(f"{printable(name)} {scalar(item, name)}" for name, item in value.items())
        return text if len(text) <= WIDTH else None
    if isinstance(value, list | tuple):
        return _listed(key, value)
    return scalar(value, key)


def _listed(key: str, values: Sequence[Any]) -> str | None:
    if not all(map(_single, values)):
        return None
    if len(values) <= MOST_SHOWN:
        return ", ".join(scalar(item, key) for item in values)
    if all(isinstance(item, int | float) for item in values):
        return f"{len(values)} values from {scalar(min(values), key)} to {scalar(max(values), key)}"
    return f"{', '.join(scalar(item, key) for item in values[:MOST_SHOWN])}, ... ({len(values)} values)"

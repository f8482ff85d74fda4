"""Durations, sizes and counts: the one parser, and the one way to print them."""

from collections.abc import Sequence
from typing import Final

SECONDS: Final = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
BYTES: Final = {
    unit + suffix: factor
    for unit, factor in {
        "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30,
    }.items()
    for suffix in ("", "b")
}  # fmt: skip
MAX_SECONDS: Final = 366 * 86400.0
MAX_BYTES: Final = 2**53


def parse_duration(text: str) -> float:
    """
    Return the seconds of `60`, `60s`, `500ms`, `5m`, `5min` or `1.5h`.

    Raises:
        ValueError: it is not such a duration, or more than a year.
    """
    value = _parse(text, SECONDS)
    if value is None or value > MAX_SECONDS:
        raise ValueError(f"expected a duration such as 500ms, 60s or 5m, got {text[:40]!r}")
    return value


def parse_size(text: str) -> int:
    """
    Return the bytes of `1000000`, `1M`, `64Ki`, `64KiB` or `16 MiB`: K, M, G are decimal, Ki, Mi, Gi binary.

    Raises:
        ValueError: it is not such a size, or not at least one byte.
    """
    value = _parse(text, BYTES)
    if value is None or not 1 <= value <= MAX_BYTES:
        raise ValueError(f"expected a size such as 1000000, 64KiB or 4M, got {text[:40]!r}")
    return int(value)


def format_duration(seconds: float) -> str:
    """Return a duration with three digits and the unit that suits it: `11.2 µs`."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def format_size(count: float) -> str:
    """Return a number of bytes with one decimal and the unit that suits it: `59.0 MiB`."""
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(count) >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it needs one: `1 row`, `1,024 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def format_names(names: Sequence[str], most: int = 10) -> str:
    """Return some names with commas between them, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def format_number(value: object) -> str:
    """Return a number in at most four digits, a dash for None, and anything else as text."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parse(text: str, units: dict[str, float] | dict[str, int]) -> float | None:
    """Return the number in `text` times its unit, None if either is wrong."""
    text = text.strip()
    digits = len(text) - len(text.lstrip("0123456789."))
    factor = units.get(text[digits:].strip().lower())
    try:
        return None if factor is None else float(text[:digits]) * factor
    except ValueError:
        return None

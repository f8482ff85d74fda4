"""Types for argparse: each turns the text of an option into its value, or says what was expected."""

from argparse import ArgumentTypeError
from collections.abc import Callable

from snooze.bundle.units import parse_duration, parse_size


def duration(text: str) -> float:
    """Return the seconds of `500ms`, `60s` or `5m`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def size(text: str) -> int:
    """Return the bytes of `64KiB` or `4M`."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def integer(least: int, most: int) -> Callable[[str], int]:
    """Return a type for integers from `least` to `most`."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or not least <= int(text) <= most:
            raise ArgumentTypeError(f"expected an integer from {least} to {most}, got {text[:40]!r}")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a type for numbers from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got {text[:40]!r}")
        return value

    return parse

"""Kubernetes' quantities and Go's durations: pure functions between text and numbers."""

import math
import re
from decimal import Decimal
from typing import Final

QUANTITY: Final = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d+)|([KMGTPE]i|[numkMGTPE])?)")
SUFFIXES: Final = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate("mun", start=1)},
}
DURATION: Final = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
SECONDS: Final = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),  # the micro sign
    "μs": Decimal("1e-6"),  # the Greek letter
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
MEBIBYTE: Final = 1024 * 1024


def parse_quantity(value: str | int | float) -> Decimal | None:
    """Return the number that a quantity such as "250m" or "64Mi" stands for, or None if it is not one."""
    match = QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    if exponent is not None:
        return Decimal(number).scaleb(int(exponent)) if abs(int(exponent)) < 100 else None
    return Decimal(number) * SUFFIXES[suffix] if suffix else Decimal(number)


def parse_duration(text: str) -> Decimal | None:
    """Return the seconds of a Go duration such as "90s" or "1h30m", or None; all but 0 needs a unit."""
    if text in ("0", "+0", "-0"):
        return Decimal(0)
    if DURATION.fullmatch(text) is None:
        return None
    seconds = sum((Decimal(number) * SECONDS[unit] for number, unit in DURATION_PART.findall(text)), Decimal(0))
    return -seconds if text.startswith("-") else seconds


def cpu(cores: float) -> str:
    """Return cores as Kubernetes writes them, rounded up to the next hundredth: "130m", "1"."""
    millicores = math.ceil(round(cores * 100, 6)) * 10
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def memory(size: float) -> str:
    """Return bytes as Kubernetes writes them, rounded up to MiB: "96Mi"."""
    return f"{math.ceil(round(size / MEBIBYTE, 6))}Mi"

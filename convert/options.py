"""What a conversion is asked for, checked before anything is read."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from snooze.convert.errors import InvalidOption
from snooze.convert.quantize import Limits, Prefer
from snooze.convert.source import FRAMEWORKS, Framework

MOST_ROWS: Final = 64  # the largest batch that requests are joined to

Quantize = Literal["auto", "off"]


@dataclass(frozen=True)
class Options:
    """
    The options of a conversion; those of the command have the same names.

    Raises:
        InvalidOption: names the option that says something impossible.
    """

    label: str | None = None
    labels: tuple[str, ...] | None = None
    trust: bool = False
    framework: Framework | None = None
    quantize: Quantize = "auto"
    prefer: Prefer = "speed"
    max_drop: float = 0.5
    max_flips: float = 2.0
    rows: int = 1

    def __post_init__(self) -> None:
        choices = {"from": (self.framework, (None, *FRAMEWORKS)), "quantize": (self.quantize, get_args(Quantize))}
        for option, (value, known) in (choices | {"prefer": (self.prefer, get_args(Prefer))}).items():
            if value not in known:
                raise InvalidOption(f"--{option}", f"expected one of {', '.join(filter(None, known))}, got {value!r}")
        if not math.isfinite(self.max_drop) or self.max_drop < 0:
            raise InvalidOption("--max-drop", f"expected points, 0 or more, got {self.max_drop:g}")
        if not 0 <= self.max_flips <= 100:
            raise InvalidOption("--max-flips", f"expected a percentage from 0 to 100, got {self.max_flips:g}")
        if not 1 <= self.rows <= MOST_ROWS:
            raise InvalidOption("--rows", f"expected 1 to {MOST_ROWS} rows a request, got {self.rows}")
        if self.labels is not None and (not all(self.labels) or len(set(self.labels)) < len(self.labels)):
            raise InvalidOption("--labels", f"expected different names, got {','.join(self.labels)!r}")

    @property
    def limits(self) -> Limits:
        """What an 8-bit candidate must keep."""
        return Limits(self.max_drop, self.max_flips, self.prefer, self.rows)

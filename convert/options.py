"""What a conversion is asked for, checked before anything is read."""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, get_args

from snooze.convert.errors import InvalidOption
from snooze.convert.quantization.candidates import Limits, Prefer
from snooze.convert.source import FRAMEWORKS, Framework

MOST_ROWS: Final = 64  # the largest batch that requests are joined to

Quantize = Literal["auto", "off"]


class Keywords(TypedDict, total=False):
    """The options as keyword arguments; what each means and does by default says `Options`."""

    label: str | None
    labels: tuple[str, ...] | None
    trust: bool
    framework: Framework | None
    quantize: Quantize
    prefer: Prefer
    max_drop: float
    max_flips: float
    rows: int


@dataclass(frozen=True)
class Options:
    """
    The options of a conversion; those of the command have the same names.

    Args:
        label: the column of a `.csv` that holds the labels.
        labels: names for the classes, in the order of the model's own.
        trust: the file may be read although reading it runs the code in it.
        framework: whose file it is, where its name does not tell (`--from`).
        quantize: "auto" tries 8-bit versions where there is something to gain, "off" does not.
        prefer: what wins: the fastest run ("speed"), the soonest start ("start"), or the smallest files ("size").
        max_drop: how many points 8 bits may cost the score (hundredths of accuracy or R²).
        max_flips: how many percent of the labels 8 bits may change.
        rows: rows of a usual request, at which speed is measured.

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

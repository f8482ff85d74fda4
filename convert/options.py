"""The options of a conversion, checked before anything is read."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, get_args

from snooze.bundle.contract import Task
from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import Prefer, QuantizationLimits
from snooze.convert.attempts import MAX_BATCH_ROWS
from snooze.convert.frameworks.registry import NAMES
from snooze.convert.quantization.candidates import MIN_GAIN

Quantize = Literal["auto", "none"]
Samples = Literal["real", "synthetic"]


class Keywords(TypedDict, total=False):
    """The options as keyword arguments; `Options` explains them and has their defaults."""

    label: str | None
    labels: tuple[str, ...] | None
    adapter: Path | None
    trust: bool
    framework: str | None
    task: Task | None
    samples: Samples
    quantize: Quantize
    prefer: Prefer
    max_drop: float
    max_flips: float
    rows: int
    max_memory: int | None
    max_time: float


@dataclass(frozen=True)
class Options:
    """The options of a conversion, with the names that they have in the command. Raises InvalidOption."""

    label: str | None = None  # the column of a table that holds the labels
    labels: tuple[str, ...] | None = None  # names for the classes, or for a regression's values, in the model's order
    adapter: Path | None = None  # a JSON file with the adapter, instead of the one that is inferred
    trust: bool = False  # read the file although reading it may run code in it
    framework: str | None = None  # the framework of the file, if the file does not tell it (`--from`)
    task: Task | None = None  # what the model is for, if its file does not tell it
    samples: Samples = "real"  # "synthetic" keeps real rows out of the bundle's golden samples
    quantize: Quantize = "auto"  # "auto" tries 8-bit versions if there is something to gain
    prefer: Prefer = "speed"  # what decides: the fastest run, the soonest start, or the smallest files ("size")
    max_drop: float = 0.5  # points (hundredths of accuracy or R²) that the score of an 8-bit version may lose
    max_flips: float = 2.0  # percent of the labels that an 8-bit version may change
    rows: int = 1  # rows of a usual request, with which speed is measured
    max_memory: int | None = None  # bytes that a child process may use; by default four fifths of what is available
    max_time: float = 1800.0  # seconds that a child process may take

    def __post_init__(self) -> None:
        choices = {"from": (self.framework, (None, *NAMES)), "task": (self.task, (None, *get_args(Task)))}
        rest = {
            "samples": (self.samples, get_args(Samples)),
            "quantize": (self.quantize, get_args(Quantize)),
            "prefer": (self.prefer, get_args(Prefer)),
        }
        for option, (value, known) in (choices | rest).items():
            if value not in known:
                raise InvalidOption(f"--{option}", f"expected one of {', '.join(filter(None, known))}, got {value!r}")
        if not math.isfinite(self.max_drop) or self.max_drop < 0:
            raise InvalidOption("--max-drop", f"expected points, 0 or more, got {self.max_drop:g}")
        if not 0 <= self.max_flips <= 100:
            raise InvalidOption("--max-flips", f"expected a percentage from 0 to 100, got {self.max_flips:g}")
        if not 1 <= self.rows <= MAX_BATCH_ROWS:
            raise InvalidOption("--rows", f"expected 1 to {MAX_BATCH_ROWS} rows a request, got {self.rows}")
        if self.labels is not None and (not all(self.labels) or len(set(self.labels)) < len(self.labels)):
            raise InvalidOption("--labels", f"expected different names, got {','.join(self.labels)!r}")

    @property
    def limits(self) -> QuantizationLimits:
        """What an 8-bit candidate must keep."""
        return QuantizationLimits(self.max_drop, self.max_flips, self.prefer, self.rows, MIN_GAIN)

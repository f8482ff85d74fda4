"""
The figures that sizing calculates with, read from `calibration.json`.

The file records how they were measured; `snooze bench sizing` measures them and prints a document of this form.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cost that the server adds to a model's own, on the machine where it was measured."""

    interpreter_seconds: float  # CPU time of a fixed piece of Python work on that machine, to compare machines by
    request_seconds: float  # for each request
    value_seconds: float  # for each number in the inputs and outputs, as JSON
    cold_seconds: float  # for a request after a pause, when the CPU's caches are cold
    cold_byte_seconds: float  # for each byte of the model in such a request
    cooling_seconds: float  # mean time after which the caches are cold
    path_seconds: float  # between client and server on one machine, the client's own part included
    server_bytes: int  # resident memory of the server without a model


@dataclass(frozen=True, slots=True)
class Deviation:
    """The difference between predicted and measured figures, as fractions of the measured: median and maximum."""

    typical: float
    largest: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """How the figures were measured; `loads` is the number of load tests."""

    command: str
    machine: str
    date: str
    models: tuple[str, ...]
    loads: int
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """
    The contents of `calibration.json`.

    `deviations` has an entry for each predicted figure, where every model was predicted from the others.
    """

    measured: Measurement
    calibration: Calibration
    deviations: Mapping[str, Deviation]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as a JSON object, in the form of `calibration.json`."""
        return asdict(self)


@cache
def read_figures(path: Path = FILE) -> Figures:
    """Return the figures of a calibration file."""
    document = json.loads(path.read_text("utf-8"))
    measured = document["measured"]
    return Figures(
        measured=Measurement(**{**measured, "models": tuple(measured["models"])}),
        calibration=Calibration(**document["calibration"]),
        deviations={name: Deviation(**entry) for name, entry in document["deviations"].items()},
    )

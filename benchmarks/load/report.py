"""The report of a load, as data and as text: rates, errors, latencies, cost, and the predictions beside them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_count

MIB: Final = 2**20
NOT_MEASURED: Final = "not measured"
FIGURES: Final = {"p50_ms": 2, "cpu_cores": 3, "peak_mib": 1}  # the predicted figures, with the digits to print


@dataclass(frozen=True, slots=True)
class LoadReport:
    """
    One load of one model. Latencies are in milliseconds since a request was due, and include all requests.

    `errors` is the number of requests without an answer of status 200, `outcomes` the number of all by outcome.
    `predicted` has the keys p50_ms (None: the rate is more than one server can handle), cpu_cores and peak_mib;
    `memory_source` states how the measured peak was read.
    """

    url: str
    model: str
    protocol: str
    rows: int
    data: str
    arrivals: str
    users: int
    seconds: float
    offered_rps: float
    achieved_rps: float
    requests: int
    errors: int
    outcomes: Mapping[str, int]
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    cpu_cores: float | None = None
    peak_mib: float | None = None
    memory_source: str | None = None
    predicted: Mapping[str, float | None] | None = None
    client: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error_percent(self) -> Mapping[str, float] | None:
        """The deviation of each prediction in percent of the measured value; None without a prediction."""
        if self.predicted is None:
            return None
        errors = {}
        for name, predicted in self.predicted.items():
            measured = getattr(self, name)
            if measured and predicted is not None:
                errors[name] = 100 * (predicted - measured) / measured
        return errors

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self) | {"error_percent": self.error_percent}

    def as_text(self) -> str:
        """Return the report for people."""
        return "\n".join(
            [*self._load(), *self._latencies(), *self._cost(), *(f"warning: {text}" for text in self.warnings)]
        )

    def write(self, path: Path) -> None:
        """
        Write the report to `path`: JSON for a .json, otherwise text.

        Raises:
            InvalidOption: the file cannot be written.
        """
        text = json.dumps(self.as_dict(), indent=2) if path.suffix == ".json" else self.as_text()
        try:
            path.write_text(text + "\n", "utf-8")
        except OSError as error:
            raise InvalidOption("--report", f"cannot write {path}: {error.strerror}") from None

    def _load(self) -> list[str]:
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.items() if count and name != "answered")
        return [
            f"{self.model} at {self.url}: {self.requests} requests of {format_count(self.rows, 'row')} ({self.data}), "
            f"{self.protocol}, {self.arrivals} arrivals, {self.seconds:g} s",
            f"  offered       {self.offered_rps:10.1f} requests/s",
            f"  achieved      {self.achieved_rps:10.1f} requests/s",
            f"  errors        {self.errors:10d} {f'({counts})' if counts else ''}".rstrip(),
        ]

    def _latencies(self) -> list[str]:
        names = {"p50": self.p50_ms, "p90": self.p90_ms, "p99": self.p99_ms, "max": self.max_ms}
        lines = [f"  latency {name}   {_number(value, 2, 'ms')}" for name, value in names.items()]
        lines[0] += self._beside("p50_ms")
        return lines

    def _cost(self) -> list[str]:
        return [
            f"  server CPU    {_number(self.cpu_cores, 3, 'cores')}" + self._beside("cpu_cores"),
            f"  peak memory   {_number(self.peak_mib, 1, 'MiB')}" + self._beside("peak_mib"),
            *([f"  memory is the {self.memory_source}"] if self.memory_source else []),
        ]

    def _beside(self, figure: str) -> str:
        """Return the prediction of a figure and its error."""
        if self.predicted is None:
            return ""
        predicted = self.predicted[figure]
        if predicted is None:
            return "   predicted: more than one server can handle"
        error = (self.error_percent or {}).get(figure)
        return f"   predicted {predicted:.{FIGURES[figure]}f}" + (
            f", error {error:+.0f} %" if error is not None else ""
        )


def _number(value: float | None, digits: int, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{value:10.{digits}f} {unit}"

"""The report of a load, as data and as text: rates, errors, latencies, cost, and the predictions beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_count

NOT_MEASURED: Final = "not measured"
FIGURES: Final = (  # name, label, digits, unit
    ("p50_ms", "latency p50", 2, "ms"),
    ("p90_ms", "latency p90", 2, "ms"),
    ("p99_ms", "latency p99", 2, "ms"),
    ("max_ms", "latency max", 2, "ms"),
    ("cpu_cores", "server CPU", 3, "cores"),
    ("peak_mib", "peak memory", 1, "MiB"),
)


class LoadReport(NamedTuple):
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
    client: Mapping[str, float | None] = {}
    warnings: tuple[str, ...] = ()
    machine: Mapping[str, Any] = {}

    @property
    def error_percent(self) -> Mapping[str, float] | None:
        """The deviation of each prediction in percent of the measured value; None without a prediction."""
        if self.predicted is None:
            return None
        pairs = ((name, predicted, getattr(self, name)) for name, predicted in self.predicted.items())
        return {name: 100 * (one / measured - 1) for name, one, measured in pairs if measured and one is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return self._asdict() | {"error_percent": self.error_percent}

    def as_text(self) -> str:
        """Return the report for people."""
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.items() if count and name != "answered")
        lines = [
            f"{self.model} at {self.url}: {self.requests} requests of {format_count(self.rows, 'row')} ({self.data}), "
            f"{self.protocol}, {self.arrivals} arrivals, {self.seconds:g} s",
            f"  offered       {self.offered_rps:10.1f} requests/s",
            f"  achieved      {self.achieved_rps:10.1f} requests/s",
            f"  errors        {self.errors:10d} {f'({counts})' if counts else ''}".rstrip(),
            *(self._line(*figure) for figure in FIGURES),
        ]
        if self.memory_source:
            lines.append(f"  memory is the {self.memory_source}")
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])

    def write(self, path: Path) -> None:
        """Write the report to `path`: JSON for a .json, otherwise text."""
        text = json.dumps(self.as_dict(), indent=2) if path.suffix == ".json" else self.as_text()
        try:
            path.write_text(text + "\n", "utf-8")
        except OSError as error:
            raise InvalidOption("--report", f"cannot write {path}: {error.strerror}") from None

    def _line(self, name: str, label: str, digits: int, unit: str) -> str:
        """Return one figure with its prediction and the error of that."""
        value = getattr(self, name)
        line = f"  {label:12}  " + (NOT_MEASURED if value is None else f"{value:10.{digits}f} {unit}")
        if self.predicted is None or name not in self.predicted:
            return line
        predicted, error = self.predicted[name], (self.error_percent or {}).get(name)
        if predicted is None:
            return f"{line}   predicted: more than one server can handle"
        return f"{line}   predicted {predicted:.{digits}f}" + ("" if error is None else f", error {error:+.0f} %")

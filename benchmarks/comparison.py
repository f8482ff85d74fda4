"""The results of a comparison, as JSON and as a Markdown table, with the machine and the method above them."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from snooze.bundle.errors import InvalidOption


class Table(NamedTuple):
    """A table for people, with what to know before one reads it."""

    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_markdown(self) -> list[str]:
        """Return the lines of the table."""
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, *self.rows)]
        return [lines[0], f"|{'---|' * len(self.columns)}", *lines[1:], ""]


class Results(NamedTuple):
    """
    The results of a comparison: `figures` are all of them, `columns` and `rows` the table for people.

    `warnings` say what makes them less certain. `details` are further tables.
    """

    title: str
    method: str
    machine: dict[str, Any]
    figures: dict[str, Any]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    warnings: Sequence[str] = ()
    details: Sequence[Table] = ()

    def as_markdown(self) -> str:
        """Return the results for people."""
        machine = dict(self.machine)
        versions = ", ".join(f"{name} {version}" for name, version in machine.pop("versions").items())
        return "\n".join(
            [
                f"# {self.title}",
                "",
                f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}, "
                f"load average {machine['load_average']:.2f} at the end.",
                f"{versions}.",
                "",
                self.method,
                "",
                *(line for warning in self.warnings for line in (f"**Warning:** {warning}", "")),
                *Table("", self.columns, self.rows).as_markdown(),
                *(line for table in self.details for line in (table.about, "", *table.as_markdown())),
            ]
        )

    def as_json(self) -> str:
        """Return the results for machines."""
        names = ("title", "method", "warnings", "machine", "figures")
        whole = {name: getattr(self, name) for name in names}
        return json.dumps(whole, indent=2) + "\n"

    def publish(self, stem: Path | None, json_only: bool = False) -> int:
        """Print the table or JSON, write `stem`.json and `stem`.md if `stem` is given, and return the exit code 0."""
        print(self.as_json() if json_only else self.as_markdown())
        if stem is not None:
            try:
                stem.parent.mkdir(parents=True, exist_ok=True)
                stem.with_name(f"{stem.name}.json").write_text(self.as_json(), "utf-8")
                stem.with_name(f"{stem.name}.md").write_text(self.as_markdown(), "utf-8")
            except OSError as error:
                raise InvalidOption("--output", f"cannot write {stem}: {error.strerror}") from None
        return 0


class Quartiles(NamedTuple):
    """The median of some values, and their quartiles."""

    median: float
    quarter: float
    three_quarters: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles":
        """Return the quartiles of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        quarter, _, three_quarters = quantiles(values, n=4, method="inclusive")
        return cls(median(values), quarter, three_quarters)

    def __str__(self) -> str:
        return f"{self.median:.0f} ({self.quarter:.0f}-{self.three_quarters:.0f})"

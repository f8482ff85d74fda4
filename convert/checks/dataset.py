"""The data that a model is checked on: cases, and their labels if there are any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import LABELS, UNNAMED, Rows, read
from snooze.convert.adapters.raw_rows import Taken
from snooze.convert.checks.cases import Array, Case
from snooze.convert.frameworks.interface import Inputs

MAX_ROWS: Final = 20_000
MAX_BYTES: Final = 256 * 2**20  # of the rows that are compared

Data = str | Path | Array | Mapping[str, Array]


@dataclass(frozen=True)
class Dataset:
    """
    Cases, and what is known about them.

    `labels` has one entry for each unit, over all cases in order: whatever the user gave, later (see `score.targets`)
    class numbers or true values. `real` data comes from the user; other data was drawn from the model's signature.
    `columns` are the names of the features if the only input is a matrix. `notes` are warnings for the user about them.
    `raw` has the raw row of each unit if an adapter has made the cases.
    """

    cases: tuple[Case, ...]
    labels: Array | None = None
    real: bool = True
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    raw: Sequence[Any] | None = None

    def __len__(self) -> int:
        return sum(case.units for case in self.cases)

    def take(self, index: Array) -> "Dataset":
        """Return the units with these numbers, those of one case together."""
        begins = np.cumsum([0, *(case.units for case in self.cases)])
        owners = np.searchsorted(begins, index, side="right") - 1
        parts = [
            (case.take(index[owners == at] - begins[at]), index[owners == at])
            for at, case in enumerate(self.cases)
            if (owners == at).any()
        ]
        taken = np.concatenate([numbers for _, numbers in parts])
        labels = None if self.labels is None else self.labels[taken]
        raw = None if self.raw is None else Taken(self.raw, taken)
        return replace(self, cases=tuple(case for case, _ in parts), labels=labels, raw=raw)

    def count_fitting(self, most: int, max_bytes: int) -> int:
        """Return how many units fit into `max_bytes`, 1 to `most`. Units of different lengths count as the longest."""
        sizes = [sum(array.nbytes for array in case.tensors.values()) / max(1, case.units) for case in self.cases]
        return max(1, min(most, int(max_bytes / max(1.0, *sizes))))

    def take_evenly(self, count: int, max_bytes: int = MAX_BYTES) -> "Dataset":
        """Return `count` units spread evenly over all, fewer if they exceed `max_bytes` or if there are fewer."""
        count = self.count_fitting(count, max_bytes)
        if len(self) <= count:
            return self
        return self.take(np.linspace(0, len(self) - 1, count).astype(np.int64))

    def request(self, rows: int) -> Case:
        """Return a feed of `rows` rows, those of the first case repeated as needed; a case without rows as it is."""
        first = self.cases[0]
        return first.take(np.arange(rows) % first.units)


def read_rows(data: Data, labels: Array | None, label: str | None) -> Rows:
    """
    Return the user's rows and their labels, if there are any.

    `data` is a file with labels in the column `label`, the only array, or arrays by input (a dataframe: by column) with
    labels as `y`. Raises InvalidData if they cannot be read.
    """
    if isinstance(data, str | Path):
        return read(Path(data), label)
    given = data.items() if hasattr(data, "items") else [(UNNAMED, data)]
    named = {str(name): np.asarray(array) for name, array in given}
    return Rows(named, named.pop(label or LABELS, None if labels is None else np.asarray(labels)))


def load(
    rows: Rows,
    inputs: Inputs,
    columns: tuple[str, ...] | None,
    source: str,
    raw: Sequence[Any] | None = None,
) -> Dataset:
    """
    Return rows as a data set that fits a signature; of more than 20,000 rows or 256 MiB that many, spread evenly.

    `columns` are the names of the features, if the model knows them, `source` says in an error where the rows come
    from, and `raw` are the same rows as an adapter takes them. Raises InvalidData if the rows do not fit.
    """
    axes = {one.tensor.name: one.axis for one in inputs}
    arrays = fit(rows, [one.tensor for one in inputs], source, columns, keep_precision=True, axes=axes)
    if len(rows.arrays) > len(inputs) == 1:  # a table
        columns = columns or tuple(rows.arrays)
    case = Case(arrays, axes)
    data = Dataset((case,), rows.labels, columns=columns, raw=raw)
    used = data.take_evenly(MAX_ROWS)
    if used is data:
        return data
    return replace(used, notes=(f"of {len(data)} rows, {len(used)} were compared, spread evenly",))

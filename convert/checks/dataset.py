"""The data that a model is checked on: cases, and their labels if there are any."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from snooze.bundle.rows import LABELS, UNNAMED, Rows, fit, read
from snooze.convert.checks.cases import Array, Case
from snooze.convert.frameworks.interface import Inputs

MAX_ROWS: Final = 20_000

Data = str | Path | Array | Mapping[str, Array]


@dataclass(frozen=True)
class Dataset:
    """
    Cases, and what is known about them.

    `labels` has one entry for each unit, over all cases in order: whatever the user gave, later (see `score.targets`)
    class numbers or true values. `real` data comes from the user; other data was drawn from the model's signature.
    `columns` are the names of the features if the only input is a matrix.
    """

    cases: tuple[Case, ...]
    labels: Array | None = None
    real: bool = True
    columns: tuple[str, ...] | None = None

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
        return replace(self, cases=tuple(case for case, _ in parts), labels=labels)

    def take_evenly(self, count: int) -> "Dataset":
        """Return `count` units spread evenly over all, or everything if there are fewer."""
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


def load(rows: Rows, inputs: Inputs, columns: tuple[str, ...] | None, source: str) -> Dataset:
    """
    Return rows as a data set that fits a signature; of more than 20,000 rows that many, spread evenly.

    `columns` are the names of the features, if the model knows them, and `source` says in an error where the rows come
    from. Raises InvalidData if the rows do not fit.
    """
    arrays = fit(rows, [one.tensor for one in inputs], source, columns, keep_precision=True)
    if len(rows.arrays) > len(inputs) == 1:  # a table, whose integers may as well be measurements
        columns = columns or tuple(rows.arrays)
        arrays = {name: one.astype(np.float64) if one.dtype.kind == "i" else one for name, one in arrays.items()}
    case = Case(arrays, {one.tensor.name: one.axis for one in inputs})
    return Dataset((case,), rows.labels, columns=columns).take_evenly(MAX_ROWS)

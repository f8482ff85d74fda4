"""Rows of input: arrays by input name, their labels where there are any, and what is known about them."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """
    Rows that a model takes: for each input an array whose first dimension is the row.

    `labels` are class numbers (positions among the model's classes) or true values, one entry a row. `real` rows come
    from a file; others were drawn from the model's signature.
    """

    inputs: Arrays
    labels: Array | None = None
    real: bool = True
    columns: tuple[str, ...] | None = None  # names of the features, where the only input is a matrix

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, index: Array | slice) -> "Rows":
        """Return some of the rows."""
        inputs = {name: array[index] for name, array in self.inputs.items()}
        return replace(self, inputs=inputs, labels=None if self.labels is None else self.labels[index])

    def at_most(self, count: int) -> "Rows":
        """Return `count` rows spread evenly over all, or all where there are fewer."""
        if len(self) <= count:
            return self
        return self.take(np.linspace(0, len(self) - 1, count).astype(np.int64))


def joined(parts: list[Arrays]) -> Arrays:
    """Return several batches as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

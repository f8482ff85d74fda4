"""
Cases: the units in which a model is checked.

A case is one feed of a model, or the model's answer to it: one array for each tensor. Every tensor states the axis
along which its rows lie, or None if it has no rows (a rank-0 threshold, a whole recording). A case with rows can be
split, joined and sampled; a case without rows is always used as a whole and counts as one unit. Cases of one data set
may have different lengths. Strings are arrays of `str` objects.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

CHUNK: Final = 256  # rows that a framework or ONNX Runtime is given at once, fewer if they are large
CHUNK_BYTES: Final = 2**20  # of inputs; a network may need some hundred times as much for what it calculates


class Case(NamedTuple):
    """Arrays by tensor name, and the row axis of each (None: the tensor has no rows)."""

    tensors: Arrays
    axes: Mapping[str, int | None]

    @property
    def rows(self) -> int | None:
        """The number of rows, or None if no tensor has rows."""
        counts = (self.tensors[name].shape[axis] for name, axis in self.axes.items() if axis is not None)
        return next(counts, None)

    @property
    def units(self) -> int:
        """The number of rows, or 1 if no tensor has rows."""
        return 1 if self.rows is None else self.rows

    def take(self, index: Array | slice) -> "Case":
        """Return the case with some of its rows. Tensors without rows are kept as they are."""
        tensors = {
            name: array if (axis := self.axes[name]) is None else array[(slice(None),) * axis + (index,)]
            for name, array in self.tensors.items()
        }
        return Case(tensors, self.axes)

    def answer(self, outputs: Arrays, axes: Mapping[str, int | None] | None = None) -> "Case":
        """
        Return a model's outputs for this case.

        `axes` are the axes of their rows; without them, outputs with as many entries as this case has rows have rows.
        """
        if axes is not None:
            return Case(outputs, axes)
        rows = self.rows
        axes = {name: 0 if rows is not None and array.shape[:1] == (rows,) else None for name, array in outputs.items()}
        return Case(outputs, axes)

    def by_unit(self, name: str) -> Array:
        """Return a tensor with units along its first axis. A tensor without rows is repeated for every unit."""
        array, axis = self.tensors[name], self.axes[name]
        return np.broadcast_to(array, (self.units, *array.shape)) if axis is None else np.moveaxis(array, axis, 0)


def rows_case(tensors: Arrays) -> Case:
    """Return a case whose tensors all have their rows along axis 0."""
    return Case(tensors, dict.fromkeys(tensors, 0))


def split(case: Case, size: int) -> Iterator[Case]:
    """Yield the case in parts of at most `size` rows. A case without rows is one part."""
    if case.units <= size:
        yield case
        return
    for begin in range(0, case.units, size):
        yield case.take(slice(begin, begin + size))


def join(parts: Sequence[Case]) -> Case:
    """Return the parts of a case as one case, the inverse of `split`."""
    first = parts[0]
    if len(parts) == 1:
        return first
    tensors = {
        name: array
        if (axis := first.axes[name]) is None
        else np.concatenate([one.tensors[name] for one in parts], axis)
        for name, array in first.tensors.items()
    }
    return Case(tensors, first.axes)


def run_in_parts(
    case: Case,
    run: Callable[[Arrays], Arrays],
    size: int | None = None,
    axes: Mapping[str, int | None] | None = None,
) -> Case:
    """
    Return a model's outputs for a case, at most `size` rows at once unless an output has no rows to join.

    Without a `size`, as many rows as have about a megabyte, at most 256. `axes` are those of the outputs' rows, if
    they are known; see `Case.answer`.
    """
    row_bytes = sum(array.nbytes for array in case.tensors.values()) // max(1, case.units)
    size = size or max(1, min(CHUNK, CHUNK_BYTES // max(1, row_bytes)))
    parts = []
    for part in split(case, size):
        parts.append(part.answer(run(part.tensors), axes))
        if part is not case and None in parts[-1].axes.values():
            return case.answer(run(case.tensors), axes)
    return join(parts)

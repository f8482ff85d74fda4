"""Several requests in one run: which fit together, their rows as one batch, and its outputs as those of each."""

from collections.abc import Hashable, Sequence

import numpy as np

from snooze.bundle.contract import Bundle
from snooze.service.messages import Call
from snooze.service.protocols.tensors import Array


def find_group(bundle: Bundle, call: Call, rows: int) -> Hashable:
    """Return what calls that fit together have in common; None for a call that fits to no other."""
    assert bundle.batching is not None
    axis = bundle.batching.axis
    shapes = [call.feeds[tensor.name].shape for tensor in bundle.inputs]
    if any(shape[axis] != rows for shape in shapes):
        return None
    return (*call.outputs, *(shape[:axis] + shape[axis + 1 :] for shape in shapes))


def join(calls: Sequence[Call], axis: int) -> dict[str, Array]:
    """Return the inputs of one run for calls of one group."""
    return {name: np.concatenate([call.feeds[name] for call in calls], axis) for name in calls[0].feeds}


def split(arrays: Sequence[Array], rows: Sequence[int], axis: int) -> list[list[Array]] | None:
    """Return the outputs of each call; None if an output does not have one row for each row of the inputs."""
    if any(array.shape[axis] != sum(rows) for array in arrays):
        return None
    ends = np.cumsum(rows)[:-1].tolist()
    # Encoders need contiguous arrays, and rows of the first axis are.
    parts = [[np.ascontiguousarray(part) for part in np.split(array, ends, axis)] for array in arrays]
    return [list(own) for own in zip(*parts, strict=True)]

"""Draw random rows for the signature of a model."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.rows.values import Arrays

DRAWN_ROWS: Final = 64
DRAWN_LENGTH: Final = 16  # of a variable dimension that is not the rows'
SEED: Final = 20261121


def draw(inputs: Sequence[Tensor], count: int = DRAWN_ROWS, seed: int = SEED) -> Arrays:
    """
    Return random rows for a signature, the same for each call: standard normal floats, integers 0 and 1, short texts.

    A variable first dimension is given `count` rows, any other variable dimension 16 values. Floats are exact in
    single precision.
    """
    generator = np.random.default_rng(seed)
    arrays: Arrays = {}
    for tensor in inputs:
        shape = tuple(size if size >= 0 else DRAWN_LENGTH if axis else count for axis, size in enumerate(tensor.shape))
        dtype = DATATYPES[tensor.datatype]
        if dtype.kind == "O":
            arrays[tensor.name] = generator.choice(np.array(["red", "green", "blue"], object), shape)
        elif dtype.kind == "f":
            arrays[tensor.name] = np.asarray(generator.standard_normal(shape)).astype(np.float32).astype(dtype)
        else:
            arrays[tensor.name] = np.asarray(generator.integers(0, 2, shape)).astype(dtype)
    return arrays

"""
What conversion and server need of an adapter.

A new kind is a module here with what `Kind` describes, and a line in `registry.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np

from snooze.bundle.contract import Bundle, Tensor

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # NDArray[Any], without importing numpy.typing at a cold start
Arrays: TypeAlias = dict[str, Array]


Declaration: TypeAlias = Any  # a NamedTuple as in `contract.py`, whose first field is `kind`


SEED: Final = 20261121


class Estimate(NamedTuple):
    """What it takes to apply an adapter to some rows: bytes at the peak, and whether it is too long for the loop."""

    memory: int
    is_long: bool


class Adapter(Protocol):
    """An adapter of one bundle, ready to be applied. A raw row is what its module says."""

    @property
    def kind(self) -> str:
        """The name of its module."""

    @property
    def input(self) -> Tensor | None:
        """The input of datatype BYTES and shape [any] as which V1 and V2 take raw rows; None if they do not."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the declaration names."""

    @property
    def tolerance(self) -> float:
        """How far an input of a golden sample may be from what `apply` makes of it on another machine."""

    def estimate(self, rows: Sequence[Any]) -> Estimate:
        """Return what `apply` takes, without doing it. Raises InvalidRow for what can be refused by a look at it."""

    def apply(self, rows: Sequence[Any]) -> Arrays:
        """
        Return all inputs of the model by name, with one row for each raw row along their first axis.

        Raises:
            InvalidRow: names the row, picture or text, and the column.
        """

    def draw(self, count: int, seed: int = SEED) -> list[Any]:
        """Return made-up raw rows, the same for each call: what pages and documents show, and nobody's data."""

    def pack(self, row: Any) -> bytes:
        """Return a raw row as the bytes of a golden sample."""

    def unpack(self, data: bytes) -> Any:
        """Return the raw row in a golden sample. Raises ValueError if the bytes are not one."""


class Kind(Protocol):
    """A kind of adapter: the modules `table`, `image` and `text`."""

    Declaration: Any

    def check(self, declaration: Declaration, bundle: Bundle) -> None:
        """Check a declaration against the rest of the contract. Must not import a library. Raises InvalidContract."""

    def load(self, declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> Adapter:
        """
        Return the adapter for a model with such inputs. `folder` holds the files that the declaration names.

        Without `inputs` the adapter of pictures or texts still works: by it conversion finds out what the inputs are.

        Raises:
            MissingExtra: the library of the adapter is not installed.
            InvalidData: a file cannot be read.
        """

"""Texts as inputs of a model: as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.adapters.interface import SEED, Arrays, Estimate
from snooze.bundle.contract import Bundle, Tensor, TensorName
from snooze.bundle.errors import InvalidContract, InvalidRow

WORDS: Final = ("what", "is", "the", "name", "of", "a", "river", "in", "who", "wrote", "when", "many")


class Declaration(NamedTuple):
    """A text becomes the value of a string input."""

    kind: Literal["text"]  # the kind of the adapter
    input: TensorName  # the model's input


def check(declaration: Declaration, bundle: Bundle) -> None:
    """Check that the model takes such texts. Raises InvalidContract."""
    inputs = [Tensor(declaration.input, "BYTES", (-1,)), Tensor(declaration.input, "BYTES", (-1, 1))]
    if len(bundle.inputs) != 1 or bundle.inputs[0] not in inputs:
        raise InvalidContract("adapter.input", "expected the model's only input, of datatype BYTES and shape [-1]")


def load(declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> "TextAdapter":
    """Return the adapter."""
    return TextAdapter(inputs[0] if inputs else Tensor(declaration.input, "BYTES", (-1,)))


class TextAdapter:
    """Takes texts: `str`."""

    kind = "text"
    files: tuple[Path, ...] = ()
    tolerance = 0.0

    def __init__(self, tensor: Tensor) -> None:
        self.input = None  # V1 and V2 send texts to the model's own input
        self._tensor = tensor

    def estimate(self, rows: Sequence[str]) -> Estimate:
        """Return that it takes nothing."""
        return Estimate(0, is_long=False)

    def apply(self, rows: Sequence[str]) -> Arrays:
        """Return the texts as one array. Raises InvalidRow for what is no text."""
        for number, row in enumerate(rows):
            if type(row) is not str:
                raise InvalidRow("text", number, f"expected a text, got {type(row).__name__}")
        array = np.empty(len(rows), object)
        array[:] = rows
        return {self._tensor.name: array.reshape(len(rows), *(1,) * (len(self._tensor.shape) - 1))}

    def draw(self, count: int, seed: int = SEED) -> list[str]:
        """Return some words for each text."""
        generator = np.random.default_rng(seed)
        return [" ".join(generator.choice(WORDS, 5)) for _ in range(count)]

    def pack(self, row: str) -> bytes:
        """Return a text as UTF-8."""
        return row.encode()

    def unpack(self, data: bytes) -> str:
        """Return the text."""
        return data.decode()

"""Texts as inputs of a model: as they are or cleaned, as strings or as the integers of a tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.adapters.cleaning import MAX_GROWTH, MIN_GROWTH, Cleaning, cleaner
from snooze.bundle.adapters.interface import SEED, Arrays, Estimate
from snooze.bundle.adapters.tokenizing import Encoder, Tokenizer, find_problem
from snooze.bundle.contract import Bundle, Tensor, TensorName
from snooze.bundle.errors import InvalidContract, InvalidRow

WORDS: Final = ("what", "is", "the", "name", "of", "a", "river", "in", "who", "wrote", "when", "many")
CLEANING_FACTOR: Final = 64  # bytes that cleaning takes for a byte of the texts, at most
LONG_TEXTS: Final = 2048  # bytes; to clean or tokenize more takes a millisecond and longer
TEXT_BYTES: Final = 32  # bytes of text that take as long as the fixed cost of each text


class Declaration(NamedTuple):
    """A text is cleaned by rules, if it has any; then it is the value of a string input, or a tokenizer encodes it."""

    kind: Literal["text"]  # the kind of the adapter
    input: TensorName | None = None  # the model's only input, which takes strings; null if there is a tokenizer
    cleaning: Cleaning | None = None  # rules that clean the text first
    tokenizer: Tokenizer | None = None  # what makes integers of the text; null if the model takes strings


def check(declaration: Declaration, bundle: Bundle) -> None:
    """Check that the model takes what becomes of texts. Raises InvalidContract."""
    check_inputs(declaration, bundle.inputs)
    tokenizer = declaration.tokenizer
    if tokenizer is not None and tokenizer.file not in bundle.files:
        raise InvalidContract("adapter.tokenizer.file", f"expected a file of the bundle, got '{tokenizer.file}'")


def check_inputs(declaration: Declaration, inputs: Sequence[Tensor]) -> None:
    """Check that a model with these inputs, if they are known, takes what becomes of texts. Raises InvalidContract."""
    tokenizer = declaration.tokenizer
    if (declaration.input is None) == (tokenizer is None):
        raise InvalidContract("adapter.input", "expected the name of a string input, or a tokenizer, and not both")
    if not inputs:
        return
    if tokenizer is not None:
        problem = find_problem(tokenizer, inputs)
        if problem is not None:
            raise InvalidContract("adapter.tokenizer.inputs", problem)
        return
    only, *others = inputs
    if others or only[:2] != (declaration.input, "BYTES") or only.shape not in ((-1,), (-1, 1)):
        problem = "expected the model's only input, of datatype BYTES and shape [-1]"
        raise InvalidContract("adapter.input", f"{problem}, got '{declaration.input}'")


def load(declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> "TextAdapter":
    """Return the adapter. Raises InvalidContract if it does not fit, MissingExtra and InvalidData as `Encoder` does."""
    check_inputs(declaration, inputs)
    return TextAdapter(declaration, inputs, folder)


class TextAdapter:
    """Takes texts: `str`."""

    kind = "text"
    tolerance = 0.0

    def __init__(self, declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> None:
        rules, tokenizer = declaration.cleaning, declaration.tokenizer
        self._clean = None if rules is None else cleaner(rules)
        self._encoder = None if tokenizer is None else Encoder(tokenizer, inputs, folder)
        self.files = () if self._encoder is None else (self._encoder.file,)
        self._name = declaration.input or ""
        self._shape = inputs[0].shape[1:] if inputs and tokenizer is None else ()
        # A text that is not changed goes into the model's own input.
        self.input = None
        if self._clean is not None or self._encoder is not None:
            name = "text"
            while name in {tensor.name for tensor in inputs}:
                name = f"raw_{name}"
            self.input = Tensor(name, "BYTES", (-1,))

    def estimate(self, rows: Sequence[str]) -> Estimate:
        """Return what it takes to clean and tokenize texts. Raises InvalidRow for what is no text."""
        if self.input is None:
            return Estimate(0, is_long=False)
        sizes = [_size(number, row) for number, row in enumerate(rows)]
        total = sum(sizes)
        memory = 0 if self._clean is None else CLEANING_FACTOR * total
        if self._encoder is not None:
            longest = max(sizes, default=0)
            longest = longest if self._clean is None else MAX_GROWTH * longest + MIN_GROWTH
            memory += self._encoder.memory(len(rows), longest)
        return Estimate(memory, total + TEXT_BYTES * len(rows) > LONG_TEXTS)

    def apply(self, rows: Sequence[str]) -> Arrays:
        """Return the inputs. Raises InvalidRow for what is no text, or cannot be cleaned or tokenized."""
        for number, row in enumerate(rows):
            _size(number, row)
        if self._clean is not None:
            rows = [self._clean_row(number, row) for number, row in enumerate(rows)]
        if self._encoder is not None:
            return self._encoder.encode(rows)
        array = np.empty(len(rows), object)
        array[:] = rows
        return {self._name: array.reshape(len(rows), *self._shape)}

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

    def _clean_row(self, number: int, text: str) -> str:
        assert self._clean is not None
        try:
            return self._clean(text)
        except ValueError as error:
            raise InvalidRow("text", number, str(error)) from None


def _size(number: int, row: object) -> int:
    """Return the bytes of a text in UTF-8. Raises InvalidRow if it is not a text."""
    if type(row) is not str:
        raise InvalidRow("text", number, f"expected a text, got {type(row).__name__}")
    try:
        return len(row) if row.isascii() else len(row.encode())
    except UnicodeEncodeError as error:
        raise InvalidRow("text", number, f"has half of a surrogate pair at character {error.start}") from None

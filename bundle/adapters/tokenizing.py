"""Texts as numbers: a `tokenizer.json` in the bundle, applied by the library `tokenizers`, which wrote it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.adapters.interface import Arrays
from snooze.bundle.contract import FileName, Range, Tensor, TensorName
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData, InvalidRow, MissingExtra
from snooze.bundle.store import resolve

if TYPE_CHECKING:
    from tokenizers import Encoding

MAX_TOKENS: Final = 65536
MAX_ID: Final = 2**31 - 1
MAX_FILE_BYTES: Final = 64 * 2**20  # the largest that are published, of 256,000 words, have about 34 MB
ROW_BYTES: Final = 128  # of a row of tokens as an array of its own
TEXT_FACTOR: Final = 600  # bytes that the library takes for a byte of a text, at most; measured: 563

Output = Literal["ids", "attention_mask", "type_ids"]


class Tokenizer(NamedTuple):
    """How a text becomes rows of integers: what the library `tokenizers` gives, cut off and padded."""

    file: FileName  # the tokenizer, as the library saves it (`tokenizer.json`); its truncation and padding do not count
    inputs: Mapping[TensorName, Output]  # what each of the model's inputs takes of an encoded text
    max_length: Annotated[int, Range(1, MAX_TOKENS)]  # the most tokens of a text, special ones included
    pad_id: Annotated[int, Range(0, MAX_ID)]  # the token that fills up shorter texts; masks and types are 0 there
    padding: Literal["longest", "fixed"] = "longest"  # up to the longest text of a request, or to max_length
    padding_side: Literal["right", "left"] = "right"  # where shorter texts are filled up
    truncation_side: Literal["right", "left"] = "right"  # where longer texts are cut off
    special_tokens: bool = True  # add the special tokens, such as [CLS] and [SEP]


def find_problem(tokenizer: Tokenizer, inputs: Sequence[Tensor]) -> str | None:
    """Return why a tokenizer does not fit a model with these inputs, None if it does."""
    names = [tensor.name for tensor in inputs]
    if sorted(names) != sorted(tokenizer.inputs):
        return f"expected the model's inputs ({', '.join(names)}), got {', '.join(tokenizer.inputs) or 'none'}"
    width = tokenizer.max_length if tokenizer.padding == "fixed" else None
    for tensor in inputs:
        rows, *lengths = tensor.shape or (0,)
        fits = len(lengths) == 1 and (lengths[0] == -1 or lengths[0] == width)
        if rows != -1 or not fits or tensor.datatype not in ("INT64", "INT32"):
            expected = "INT64 or INT32 of shape [-1, -1], or with fixed padding [-1, max_length]"
            return f"input '{tensor.name}': expected {expected}, got {tensor.datatype} of shape {list(tensor.shape)}"
    return None


class Encoder:
    """A tokenizer that was read. Without the model's `inputs`, it gives INT64."""

    def __init__(self, declared: Tokenizer, inputs: Sequence[Tensor], folder: Path) -> None:
        """Raises MissingExtra if the library is not installed, InvalidData if the file cannot be used."""
        self.file = folder / declared.file
        self._declared = declared
        types = {tensor.name: DATATYPES[tensor.datatype] for tensor in inputs}
        self._outputs = [
            (name, output, types.get(name, np.dtype(np.int64)), declared.pad_id if output == "ids" else 0)
            for name, output in declared.inputs.items()
        ]
        self._encode = _read(resolve(folder, declared.file), declared).encode_batch_fast

    def memory(self, rows: int, longest: int) -> int:
        """Return the most bytes that encoding takes: for the longest text, of so many bytes, and for all tokens."""
        return TEXT_FACTOR * longest + rows * len(self._outputs) * (ROW_BYTES + 2 * 8 * self._declared.max_length)

    def encode(self, texts: Sequence[str]) -> Arrays:
        """Return the inputs of the model. Raises InvalidRow for a text that the tokenizer refuses or has no tokens."""
        declared = self._declared
        # One by one: what the library keeps of a text is many times as large as the tokens.
        rows = [self._encode_text(number, text) for number, text in enumerate(texts)]
        longest = max((len(row[0]) for row in rows), default=0)
        width = declared.max_length if declared.padding == "fixed" else longest
        arrays: Arrays = {}
        for at, (name, _, dtype, filler) in enumerate(self._outputs):
            arrays[name] = array = np.full((len(rows), width), filler, dtype)
            for number, row in enumerate(rows):
                values = row[at]
                begin = 0 if declared.padding_side == "right" else width - len(values)
                array[number, begin : begin + len(values)] = values
        return arrays

    def _encode_text(self, number: int, text: str) -> "list[np.ndarray[Any, np.dtype[Any]]]":
        try:
            encoding: Encoding = self._encode([text], add_special_tokens=self._declared.special_tokens)[0]
        except BaseException as error:
            if not _is_failure(error):
                raise
            raise InvalidRow("text", number, f"the tokenizer fails: {_line(error)}") from None
        if not encoding.ids:
            raise InvalidRow("text", number, "has no tokens; expected at least one word")
        return [np.array(getattr(encoding, output), np.int64) for _, output, _, _ in self._outputs]


def _read(path: Path, declared: Tokenizer) -> Any:
    # Read when the library is first used: its threads would take more processors than the server was given.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from tokenizers import Tokenizer as Library
    except ModuleNotFoundError as error:
        if error.name != "tokenizers":  # installed but broken: show the real cause
            raise
        raise MissingExtra("tokenizers", "text") from None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidData(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise InvalidData(str(path), f"is larger than {MAX_FILE_BYTES} bytes; expected a tokenizer")
    try:
        tokenizer = Library.from_buffer(data)
        tokenizer.no_padding()
        tokenizer.enable_truncation(declared.max_length, direction=declared.truncation_side)
        special = tokenizer.num_special_tokens_to_add(False) if declared.special_tokens else 0
    except BaseException as error:
        if not _is_failure(error):
            raise
        raise InvalidData(str(path), f"is not a tokenizer that the library can read: {_line(error)}") from None
    if special >= declared.max_length:
        problem = f"adds {special} special tokens, so max_length must be larger, got {declared.max_length}"
        raise InvalidData(str(path), problem)
    return tokenizer


def _is_failure(error: BaseException) -> bool:
    """Return whether the library failed: a panic of its Rust code is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]

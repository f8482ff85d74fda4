"""
Which adapter a model gets: the user's (`--adapter`), else the one that its framework infers; and the data it makes.

Pictures and texts become inputs by the adapter itself. The values of a table are fitted to the inputs without it, in
the precision in which they were given, and `checking.py` compares the two.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle import json_text
from snooze.bundle.adapters import registry
from snooze.bundle.adapters.interface import Adapter, Declaration
from snooze.bundle.errors import InvalidContract, InvalidData, InvalidOption, InvalidRow
from snooze.bundle.rows.reading import Rows
from snooze.convert.adapters.raw_rows import Taken, raw_rows
from snooze.convert.checks.cases import Arrays, Case, join
from snooze.convert.checks.dataset import MAX_BYTES, MAX_ROWS, Dataset
from snooze.convert.frameworks.interface import Framework, Inputs

OPTION: Final = "--adapter"
EXAMPLES: Final = 3  # raw rows from which a model's inputs are found out
CHUNK: Final = 64  # raw rows that are adapted at once; texts of different lengths are padded to the longest of them


class Chosen(NamedTuple):
    """An adapter, and what the contract says of it."""

    declaration: Declaration
    adapter: Adapter


def choose(
    framework: Framework, model: Any, rows: Rows | None, file: Path | None, source: str
) -> tuple[Inputs, Chosen | None]:
    """
    Return the inputs of a model and the adapter for it, if it gets one.

    `rows` are the user's, from `source`, and `file` the declaration that the user gave.

    Raises:
        InvalidOption: the declaration is invalid or does not fit the model.
        InvalidData: the rows are nothing that the model, or the adapter, takes.
        MissingExtra: the adapter's library is not installed.
    """
    declaration = None if file is None else read_declaration(file)
    folder = Path() if file is None else file.parent
    if declaration is None or declaration.kind == "table" or rows is None:
        arrays = rows.arrays if rows is not None and rows.raw is None else None
        inputs = framework.signature(model, arrays)
        declaration = declaration or framework.adapter(model, inputs, rows)
    else:
        adapter = registry.find(declaration.kind).load(declaration, (), folder)
        raw = raw_rows(declaration, rows, source)
        inputs = framework.signature(model, _apply(adapter, (raw or ())[:EXAMPLES], source))
    if declaration is None:
        if rows is not None and rows.raw is not None:
            raise InvalidData(source, f"is a folder of pictures, which {_list(inputs)} cannot be made of")
        return inputs, None
    tensors = [one.tensor for one in inputs]
    return inputs, Chosen(declaration, registry.find(declaration.kind).load(declaration, tensors, folder))


def read_declaration(file: Path) -> Declaration:
    """Return the declaration in a JSON file as `adapter` of `bundle.json` has it. Raises InvalidOption."""
    try:
        document = json_text.parse(file.read_bytes())
        if not isinstance(document, dict):
            raise InvalidOption(OPTION, f"{file}: expected an object with the kind of an adapter")
        return registry.declaration(document)
    except OSError as error:
        raise InvalidOption(OPTION, f"{file}: {error.strerror}") from None
    except InvalidContract as error:
        raise InvalidOption(OPTION, f"{file}: {error.field}: {error.problem}") from None


def adapt(chosen: Chosen, rows: Rows, inputs: Inputs, source: str) -> Dataset:
    """
    Return the data that an adapter makes of pictures or texts; of too many, some that are spread evenly.

    Raises:
        InvalidData: names the row that the adapter refuses.
    """
    raw = raw_rows(chosen.declaration, rows, source)
    assert raw is not None
    axes = {one.tensor.name: one.axis for one in inputs}
    few = _apply(chosen.adapter, raw[:EXAMPLES], source)
    row_bytes = sum(array.nbytes for array in few.values()) / min(EXAMPLES, len(raw))
    count = max(1, min(len(raw), MAX_ROWS, int(MAX_BYTES / max(1.0, row_bytes))))
    places = np.linspace(0, len(raw) - 1, count).astype(np.int64)
    taken = Taken(raw, places)
    cases = [Case(_apply(chosen.adapter, taken[at : at + CHUNK], source, at), axes) for at in range(0, count, CHUNK)]
    same_lengths = len({tuple(array.shape[1:] for array in case.tensors.values()) for case in cases}) == 1
    notes = (f"of {len(raw)} rows, {count} were compared, spread evenly",) if count < len(raw) else ()
    labels = None if rows.labels is None else rows.labels[places]
    return Dataset((join(cases),) if same_lengths else tuple(cases), labels, notes=notes, raw=taken)


def _apply(adapter: Adapter, raw: Sequence[Any], source: str, first: int = 0) -> Arrays:
    """Return the inputs for raw rows, of which the first has the number `first`. Raises InvalidData."""
    try:
        return adapter.apply(raw)
    except InvalidRow as error:
        row = InvalidRow(error.what, first + error.row, error.problem, error.column)
        raise InvalidData(source, str(row)) from None


def _list(inputs: Inputs) -> str:
    return ", ".join(f"input '{one.tensor.name}' of shape {list(one.tensor.shape)}" for one in inputs)

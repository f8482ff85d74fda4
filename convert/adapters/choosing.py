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
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidContract, InvalidData, InvalidOption, InvalidRow
from snooze.bundle.rows.reading import Rows
from snooze.convert.adapters.image import find_image
from snooze.convert.adapters.raw_rows import Taken, find_file, raw_rows
from snooze.convert.adapters.tables import find_table, holds_infinity
from snooze.convert.checks.cases import Arrays, Case, join
from snooze.convert.checks.dataset import MAX_BYTES, MAX_ROWS, Dataset
from snooze.convert.frameworks.interface import Framework, Inputs, Names

OPTION: Final = "--adapter"
EXAMPLES: Final = 3  # raw rows from which a model's inputs are found out
CHUNK: Final = 64  # raw rows that are adapted at once; texts of different lengths are padded to the longest of them


class Chosen(NamedTuple):
    """An adapter, what the contract says of it, the folder of its files, and notes for the user on what it assumes."""

    declaration: Declaration
    adapter: Adapter
    folder: Path
    notes: tuple[str, ...] = ()

    def take(self, inputs: Sequence[Tensor]) -> "Chosen":
        """Return the adapter for the inputs of the graph, which may have another precision than the model's."""
        return _load(self.declaration, inputs, self.folder)

    @property
    def adds_preprocessing(self) -> bool:
        """Whether it does what the user did before the model was given its rows: the model's own part is not all."""
        return self.declaration.kind == "text" and self.declaration.cleaning is not None


def choose(
    framework: Framework, model: Any, rows: Rows | None, file: Path | None, source: str, names: Names = None
) -> tuple[Inputs, Chosen | None]:
    """
    Return the inputs of a model and the adapter for it, if it gets one.

    `rows` are the user's, from `source`, `file` the declaration that the user gave, and `names` those of the classes.

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
        declaration = declaration or _infer(framework, model, inputs, rows)
    else:
        adapter = _load(declaration, (), folder).adapter
        raw = raw_rows(declaration, rows, source)
        inputs = framework.signature(model, _apply(adapter, raw or (), source, 0, EXAMPLES))
    if declaration is None and rows is not None and rows.raw is not None:
        found = find_image(framework, model, inputs, rows, names)
        if found is None:
            raise InvalidData(source, f"is a folder of pictures, which {_list(inputs)} cannot be made of")
        return inputs, _load(found.declaration, [one.tensor for one in inputs], folder)._replace(notes=found.notes)
    if declaration is None:
        return inputs, None
    return inputs, _load(declaration, [one.tensor for one in inputs], folder)


def _infer(framework: Framework, model: Any, inputs: Inputs, rows: Rows | None) -> Declaration | None:
    declaration = framework.adapter(model, inputs, rows) or find_table(inputs, rows)
    is_table = declaration is not None and declaration.kind == "table"
    return None if is_table and rows is not None and holds_infinity(rows) else declaration


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
    few, examples = _apply(chosen.adapter, raw, source, 0, EXAMPLES), raw[:EXAMPLES]
    row_bytes = (sum(array.nbytes for array in few.values()) + sum(map(len, examples))) / len(examples)
    count = max(1, min(len(raw), MAX_ROWS, int(MAX_BYTES / max(1.0, row_bytes))))
    places = np.linspace(0, len(raw) - 1, count).astype(np.int64)
    taken = Taken(raw, places)
    cases = [Case(_apply(chosen.adapter, taken, source, at, at + CHUNK), axes) for at in range(0, count, CHUNK)]
    same_lengths = len({tuple(array.shape[1:] for array in case.tensors.values()) for case in cases}) == 1
    notes = (f"of {len(raw)} rows, {count} were compared, spread evenly",) if count < len(raw) else ()
    labels = None if rows.labels is None else rows.labels[places]
    return Dataset((join(cases),) if same_lengths else tuple(cases), labels, notes=notes, raw=taken)


def _load(declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> Chosen:
    try:
        return Chosen(declaration, registry.find(declaration.kind).load(declaration, inputs, folder), folder)
    except InvalidContract as error:
        raise InvalidOption(OPTION, f"{error.field}: {error.problem}") from None


def _apply(adapter: Adapter, raw: Sequence[Any], source: str, begin: int = 0, end: int | None = None) -> Arrays:
    """Return the inputs for some of the raw rows. Raises InvalidData, which names the row or its file."""
    try:
        return adapter.apply(raw[begin:end])
    except InvalidRow as error:
        number = begin + error.row
        path = find_file(raw, number)
        if path is not None:
            raise InvalidData(str(path), error.problem) from None
        raise InvalidData(source, str(InvalidRow(error.what, number, error.problem, error.column))) from None


def _list(inputs: Inputs) -> str:
    return ", ".join(f"input '{one.tensor.name}' of shape {list(one.tensor.shape)}" for one in inputs)

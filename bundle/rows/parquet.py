"""
Read the rows of a Parquet file: a column for each feature, as pandas would have it.

| type | array |
| --- | --- |
| numbers, decimals, true and false | numbers; with missing values floats with NaN, or true, false and None |
| texts, categories | texts, None where one is missing; a category is what it stands for |
| dates, times | texts, as a CSV file has them |
| lists of numbers of one length | an array of that many columns |

Rows are read some at a time, and nothing in the file is executed.
"""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.errors import InvalidData, MissingExtra
from snooze.bundle.rows.values import Array, Arrays
from snooze.bundle.units import format_size

BATCH: Final = 65_536  # rows
MAX_UNPACKED: Final = 4 * 2**30  # bytes; a small file may claim any number of rows
INDEX: Final = re.compile(r"__index_level_\d+__")  # of pandas, which is no column


def read_parquet(path: Path) -> Arrays:
    """
    Return the columns of a file by name.

    Raises:
        MissingExtra: pyarrow is not installed.
        InvalidData: a column has a type that is no feature, or a name that another has.
        ValueError, OSError: the file cannot be read.
    """
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise MissingExtra("pyarrow", "parquet") from None
    with parquet.ParquetFile(path) as file:
        fields = {one.name: one.type for one in file.schema_arrow}
    # Texts that are repeated are read once.
    with parquet.ParquetFile(path, read_dictionary=[name for name, kind in fields.items() if _is_text(kind)]) as file:
        names = [name for name in file.schema_arrow.names if not INDEX.fullmatch(name)]
        if len(set(names)) < len(names):
            duplicate = next(name for name in names if names.count(name) > 1)
            raise InvalidData(str(path), f"column {duplicate!r} is duplicated; give each column its own name")
        for name in names:
            _check_type(fields[name], name, str(path))
        size = 8 * file.metadata.num_rows * len(names)
        if size > MAX_UNPACKED:
            most = format_size(MAX_UNPACKED)
            raise ValueError(f"it unpacks to at least {format_size(size)}, of which at most {most} are read")
        parts: dict[str, list[Array]] = {name: [] for name in names}
        for batch in file.iter_batches(BATCH, columns=names):
            for name in names:
                parts[name].append(_to_array(batch.column(name), name, str(path)))
    return {name: _join(arrays) for name, arrays in parts.items()}


def _check_type(kind: Any, name: str, source: str) -> None:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    is_nested = types.is_nested(kind) and not _is_list(kind)
    if is_nested or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        problem = f"column '{name}' has type {kind}; expected numbers, texts, categories, true or false, or lists"
        raise InvalidData(source, f"{problem} of numbers; remove it or convert it")


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and (types.is_integer(kind.value_type) or types.is_floating(kind.value_type)))


def _to_array(column: Any, name: str, source: str) -> Array:
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind) and _is_text(kind.value_type):
        texts = np.array([*column.dictionary.to_pylist(), None], object)
        return np.asarray(texts[column.indices.fill_null(len(texts) - 1).to_numpy()])
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_decimal(kind) or types.is_null(kind):
        column = column.cast(pyarrow.float64())
    elif types.is_temporal(kind):
        column = column.cast(pyarrow.string())
    elif _is_list(kind):
        return _to_matrix(column, name, source)
    array: Array = column.to_numpy(zero_copy_only=False)
    return array if array.dtype.kind in "biuf" else array.astype(object)


def _to_matrix(column: Any, name: str, source: str) -> Array:
    values: Array = column.flatten().to_numpy(zero_copy_only=False)
    if len(column) and (column.null_count or len({len(one) for one in column}) > 1):
        raise InvalidData(source, f"column '{name}' has lists of different lengths; expected one length")
    return values.reshape(len(column), -1)


def _join(arrays: list[Array]) -> Array:
    """Return the parts of a column as one; some may have missing values, which others of the same type do not have."""
    return np.concatenate(arrays) if arrays else np.empty(0)

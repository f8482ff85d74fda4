"""
Encoders of categories and labels.

Formulas: scikit-learn's user guide, "Encoding categorical features", "Target Encoder" and "Transforming the prediction
target". Known are missing values (the empty text in texts), infrequent and unknown categories, and numbers that are
not integers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.columns import is_missing
from snooze.convert.frameworks.sklearn.converters.nodes import ML, Converter, Nodes, Value


class Lookup(NamedTuple):
    """
    What an encoder makes of a column.

    `values` has a row for each category, and one for unknown values: what they become, or for one-hot the number
    of one of `size` columns.
    """

    categories: Array
    values: Array
    size: int | None = None

    @property
    def width(self) -> int:
        """The number of columns that the column becomes."""
        return int(self.values.shape[1]) if self.size is None else self.size


def encode(columns: Sequence[Value], encoder: Any) -> Value:
    """Return what an encoder makes of its columns [rows, 1], side by side."""
    nodes = columns[0].nodes
    encoded = [_encode(*pair) for pair in zip(columns, _lookups(encoder), strict=True)]
    dtype = _dtype(encoder) or nodes.dtype
    if len({one.dtype for one in encoded}) > 1:
        encoded = [one.cast(dtype) for one in encoded]
    return nodes.join(encoded).cast(dtype)


def _convert_encoder(nodes: Nodes, encoder: Any) -> None:
    nodes.answer(encode(nodes.columns(), encoder))


def _convert_label_encoder(nodes: Nodes, encoder: Any) -> None:
    (labels,) = nodes.columns()
    nodes.answer(_number(labels, encoder.classes_, np.append(np.arange(len(encoder.classes_)), -1)))


def _convert_label_binarizer(nodes: Nodes, binarizer: Any) -> None:
    (labels,) = nodes.columns()
    count = len(binarizer.classes_)
    numbers = _number(labels, binarizer.classes_, np.append(np.arange(count), -1))
    columns = [1] if count == 2 else [-2] if count == 1 else range(count)  # of one class, no label is the positive one
    matches = numbers.equals(np.array(columns))
    nodes.answer(nodes.where(matches, nodes.value(binarizer.pos_label), nodes.value(binarizer.neg_label)))


def _encode(column: Value, lookup: Lookup) -> Value:
    """Return what becomes of a column [rows, 1]."""
    values = lookup.values
    if values.shape[1] == 1 and (values == np.round(values)).all():
        found = _number(column, lookup.categories, values.ravel().astype(np.int64))
        return found if lookup.size is None else found.equals(np.arange(lookup.size))
    rows = _number(column, lookup.categories, np.arange(len(values))).reshape(-1)
    return column.nodes.value(values).take(rows, axis=0)


def _number(column: Value, categories: Array, numbers: Array) -> Value:
    """Return the numbers of the categories of a column [rows, 1]; the last is that of other values."""
    known, default = categories.tolist(), int(numbers[-1])
    missing = next((int(numbers[at]) for at, one in enumerate(known) if is_missing(one)), None)
    more: dict[str, Any] = {
        "domain": ML, "values_int64s": numbers[:-1].tolist(), "default_int64": default, "dtype": np.int64
    }  # fmt: skip
    if column.dtype.kind in "OU":
        return column.map("LabelEncoder", keys_strings=["" if is_missing(one) else str(one) for one in known], **more)
    if column.dtype.kind != "f":
        return column.cast(np.int64).map("LabelEncoder", keys_int64s=categories.astype(np.int64), **more)
    if column.dtype == np.float64:  # for which there is no LabelEncoder
        matches = column.equals(categories.astype(np.float64)).cast(np.float64)
        found = (matches @ (numbers[:-1] - default).reshape(-1, 1) + default).cast(np.int64)
    else:
        found = column.map("LabelEncoder", keys_floats=categories.astype(np.float32), **more)
    return found if missing is None else column.nodes.where(column.map("IsNaN", dtype=bool), missing, found)


def _lookups(encoder: Any) -> Iterator[Lookup]:
    """Yield what an encoder does with each of its columns."""
    make = _target if hasattr(encoder, "encodings_") else _ordinal if hasattr(encoder, "unknown_value") else _one_hot
    for at, known in enumerate(encoder.categories_):
        yield make(encoder, at, np.asarray(known))


def _target(encoder: Any, at: int, categories: Array) -> Lookup:
    """Return the means of the target: of each class if there are several, and for other values that of all rows."""
    means = np.atleast_1d(encoder.target_mean_)
    encodings = encoder.encodings_[at * len(means) : (at + 1) * len(means)]
    return Lookup(categories, np.vstack([np.column_stack(encodings), means]))


def _ordinal(encoder: Any, at: int, categories: Array) -> Lookup:
    values = _grouped(encoder, at, categories).astype(np.float64)
    if at in encoder._missing_indices:
        values[encoder._missing_indices[at]] = encoder.encoded_missing_value
    unknown = encoder.unknown_value if encoder.handle_unknown == "use_encoded_value" else -1
    return Lookup(categories, np.append(values, unknown).reshape(-1, 1))


def _one_hot(encoder: Any, at: int, categories: Array) -> Lookup:
    values = _grouped(encoder, at, categories)
    rare = encoder._infrequent_enabled and encoder._infrequent_indices[at] is not None
    values = np.append(
        values, values.max() if rare and encoder.handle_unknown in ("infrequent_if_exist", "warn") else -1
    )
    dropped = None if encoder.drop_idx_ is None else encoder._drop_idx_after_grouping[at]
    if dropped is not None:
        values = np.where(values == dropped, -1, values - (values > dropped))
    return Lookup(categories, values.reshape(-1, 1), int(encoder._n_features_outs[at]))


def _grouped(encoder: Any, at: int, categories: Array) -> Array:
    """Return the number of each category, where infrequent ones share one."""
    groups = encoder._default_to_infrequent_mappings[at] if encoder._infrequent_enabled else None
    numbers = np.arange(len(categories)) if groups is None else np.asarray(groups)
    # A missing category that is not infrequent is not among the groups, and is the last.
    return np.concatenate([numbers, np.arange(len(numbers), len(categories))])


def _width(encoder: Any) -> int:
    return sum(one.width for one in _lookups(encoder))


def _dtype(encoder: Any) -> Any:
    """Return int64 if the encoder gives integers."""
    return np.int64 if np.dtype(getattr(encoder, "dtype", float)).kind in "iu" else None


def _count_labels(model: Any) -> int:
    """Return the number of columns of labels: one for two classes, and for a LabelEncoder."""
    count = len(model.classes_)
    return count if hasattr(model, "pos_label") and count > 2 else 1


def _integers(model: Any) -> Any:
    return np.int64


CONVERTERS: Final = (
    Converter("sklearn.preprocessing.OneHotEncoder", _convert_encoder, _width, _dtype),
    Converter("sklearn.preprocessing.OrdinalEncoder", _convert_encoder, _width, _dtype),
    Converter("sklearn.preprocessing.TargetEncoder", _convert_encoder, _width, _dtype),
    Converter("sklearn.preprocessing.LabelEncoder", _convert_label_encoder, _count_labels, _integers),
    Converter("sklearn.preprocessing.LabelBinarizer", _convert_label_binarizer, _count_labels, _integers),
)

"""
Which inputs a fitted model takes: a matrix of numbers, the columns of a dataframe, texts, or labels.

A matrix is the input `features`, texts are the input `text`, and labels are the input `label`. A dataframe with columns
of texts or categories has an input for each column that the model reads, with the column's name. An empty text stands
for a missing one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.contract import Datatype, Tensor
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.sklearn.parts import first_step, fitted_parts, readers

FEATURES: Final = "features"
TEXT: Final = "text"
LABEL: Final = "label"
ADVICE: Final = {  # for the rows of estimators that are something else
    "DictVectorizer": "its rows are dicts; train on a dataframe with a ColumnTransformer and OneHotEncoder",
    "FeatureHasher": "its rows are dicts or lists; train on a dataframe with OneHotEncoder, or use HashingVectorizer",
    "MultiLabelBinarizer": "its rows are sets of labels; make a column of zeros and ones for each label",
    "PatchExtractor": "its rows are pictures, of which it makes several rows each; cut them before they are sent",
}

Kind = Literal["number", "integer", "text"]
DATATYPES: Final[dict[Kind, Datatype]] = {"number": "FP32", "integer": "INT64", "text": "BYTES"}
DTYPES: Final[dict[Kind, type]] = {"number": np.float64, "integer": np.int64, "text": object}


class Use(NamedTuple):
    """How one estimator reads a column, and what it takes for a missing text."""

    kind: Kind
    missing: object = ""
    reader: Any = None
    at: int = 0  # the number of the column among those that the reader takes


class Column(NamedTuple):
    """A column of a dataframe that a model reads. `place` is its number among all columns that it was trained on."""

    name: str
    place: int
    kind: Kind
    missing: object
    uses: tuple[Use, ...]


class Layout(NamedTuple):
    """The inputs of a model. `names` are those of all columns in training, if they had any."""

    form: Literal["matrix", "frame", "texts", "labels"]
    columns: tuple[Column, ...] = ()
    names: tuple[str, ...] | None = None
    width: int = 0
    dtype: type = np.float64  # of a matrix: in single precision, scikit-learn would calculate in it

    @property
    def kind(self) -> Kind:
        """The kind of a matrix: integers if no column has other numbers."""
        return "integer" if {one.kind for one in self.columns} == {"integer"} else "number"

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the signature."""
        if self.form == "texts":
            return (Tensor(TEXT, "BYTES", (-1,)),)
        if self.form == "matrix":
            return (Tensor(FEATURES, DATATYPES[self.kind], (-1, len(self.columns))),)
        return tuple(Tensor(one.name, DATATYPES[one.kind], (-1, 1)) for one in self.columns)

    def known_columns(self) -> tuple[str, ...] | None:
        """Return the names of the columns of a matrix, or of all columns that a row of a dataframe had in training."""
        if self.form == "matrix" and self.names is not None:
            return tuple(one.name for one in self.columns)
        if self.form == "frame":
            return self.names or tuple(f"x{place}" for place in range(self.width))
        return None

    def rows(self, arrays: Arrays) -> Any:
        """Return inputs as the rows that the model was trained on: a dataframe, an array, or texts or labels."""
        if self.form == "texts":
            return arrays[TEXT].tolist()
        if self.form == "labels":
            return arrays[LABEL].reshape(-1).astype(DTYPES[self.columns[0].kind])
        if self.form == "matrix" and self.names is None:
            return arrays[FEATURES].astype(self.dtype)
        if self.form == "matrix":
            pandas = import_extra("sklearn", "pandas")
            frame = pandas.DataFrame(arrays[FEATURES].astype(self.dtype), columns=[one.name for one in self.columns])
            return frame.reindex(columns=self.names)
        filled = {one.name: _restore(arrays[one.name].reshape(-1), one) for one in self.columns}
        if self.names is not None:
            pandas = import_extra("sklearn", "pandas")
            # Pandas would make texts of its own type of them, which cannot hold None.
            series = {name: pandas.Series(array, dtype=array.dtype) for name, array in filled.items()}
            return pandas.DataFrame(series).reindex(columns=self.names)  # those that are dropped are empty
        matrix = np.full((len(next(iter(filled.values()))), self.width), np.nan, object)
        for one in self.columns:
            matrix[:, one.place] = filled[one.name]
        return matrix


def find_layout(model: Any) -> Layout:
    """Return the inputs of a fitted model. Raises Unsupported if its rows are something else."""
    name = type(model).__name__
    if _takes_texts(model):
        return Layout("texts")
    if name in ("LabelEncoder", "LabelBinarizer"):
        return Layout("labels", (_read_labels(model),), width=1)
    width = _width(model)
    reader = _first_reader(model)
    if width is None or reader in ADVICE:
        other = "its input is not a table or texts; convert the part of it that takes one of them"
        inner = "" if reader == name else f"the rows go to {reader}, and "
        raise Unsupported(name, inner + ADVICE.get(reader, other))
    found = getattr(model, "feature_names_in_", None)
    names = None if found is None else tuple(map(str, found))
    uses: dict[int, list[Use]] = {}
    for place, use in _uses(model, range(width)):
        uses.setdefault(place, []).append(use)
    labels = names or tuple(f"x{place}" for place in range(width))
    columns = tuple(_merge(labels[place], place, uses[place]) for place in sorted(uses))
    kinds = {one.kind for one in columns}
    if "text" in kinds or (names is not None and "integer" in kinds):
        return Layout("frame", columns, names, width)
    if names is None:  # a row of a matrix has all of its columns
        columns = tuple(_merge(labels[place], place, uses.get(place, [Use("number")])) for place in range(width))
    return Layout("matrix", columns, names, width, _dtype(model))


def select_by_position(model: Any, layout: Layout) -> None:
    """Let each ColumnTransformer of a model select by position among the columns that are inputs. Changes the model."""
    _select(model, range(layout.width), frozenset(one.place for one in layout.columns))


def is_missing(value: object) -> bool:
    """Return whether a category, or the setting of an imputer, stands for a missing value."""
    return value is None or value != value or type(value).__name__ == "NAType"


def _dtype(model: Any) -> type:
    """Return the precision of the rows that a model takes: factorizations and clusters take just that of training."""
    learned = (
        getattr(part, name, None) for part in fitted_parts(model) for name in ("components_", "cluster_centers_")
    )
    return np.float32 if any(one is not None and one.dtype == np.float32 for one in learned) else np.float64


def _takes_texts(model: Any) -> bool:
    return hasattr(model, "build_analyzer") or any(map(_takes_texts, readers(model)))


def _width(model: Any) -> int | None:
    if hasattr(model, "X_thresholds_"):  # of an IsotonicRegression
        return 1
    width = getattr(model, "n_features_in_", None)
    return next(filter(None, map(_width, readers(model))), None) if width is None else int(width)


def _first_reader(model: Any) -> str:
    """Return the name of the estimator to which a model hands its rows first."""
    inside = readers(model)
    return _first_reader(inside[0]) if inside else type(model).__name__


def _find_inner(transformer: Any) -> Iterator[tuple[str, Any, list[int]]]:
    """Yield the name and part of each transformer of a ColumnTransformer that is not dropped, and its columns."""
    for name, part, _ in transformer.transformers_:
        columns = list(transformer._transformer_to_input_indices.get(name, []))
        if columns and not (isinstance(part, str) and part == "drop"):
            yield name, part, columns


def _uses(part: Any, places: Sequence[int]) -> Iterator[tuple[int, Use]]:
    """Yield how a fitted estimator, and those inside it, read columns. `places` are the columns that it is given."""
    if hasattr(part, "transformers_"):
        for _, inner, columns in _find_inner(part):
            yield from _uses(inner, [places[index] for index in columns])
    elif getattr(part, "_preprocessor", None) is not None:  # HistGradientBoosting with categories, which it puts first
        for index, (place, use) in enumerate(_uses(part._preprocessor, places)):
            if hasattr(use.reader, "categories_"):
                yield place, use if use.kind == "text" else use._replace(kind="number")  # may be missing
            else:
                yield place, Use("number", reader=part, at=index)
    elif hasattr(part, "categories_") and len(part.categories_) == len(places):
        for index, categories in enumerate(part.categories_):
            yield places[index], _read_categories(part, index, np.asarray(categories))
    elif hasattr(part, "statistics_"):
        yield from ((place, _read_imputer(part, index)) for index, place in enumerate(places))
    elif hasattr(part, "build_analyzer"):
        yield from ((place, Use("text", "", part)) for place in places)
    elif inside := readers(part):
        for inner in inside:
            yield from _uses(inner, places)
        if hasattr(inside[0], "statistics_") and hasattr(part, "steps"):
            yield from _uses_after_imputer(part, places)
    else:
        yield from ((place, Use("number", reader=part, at=index)) for index, place in enumerate(places))


def _uses_after_imputer(pipeline: Any, places: Sequence[int]) -> Iterator[tuple[int, Use]]:
    """Yield how the step after an imputer reads the columns that the imputer is given."""
    first = first_step(pipeline)
    imputer, *rest = [step for _, step in pipeline.steps[first:] if hasattr(step, "get_params")]
    if rest and getattr(rest[0], "n_features_in_", None) == len(places):
        kind = _read_imputer(imputer, 0).kind
        yield from ((place, use) for place, use in _uses(rest[0], places) if (use.kind == "text") == (kind == "text"))


def _read_labels(model: Any) -> Column:
    if getattr(model, "y_type_", "").startswith("multilabel"):
        problem = "its rows are the zeros and ones that it gives; leave it out"
        raise Unsupported(type(model).__name__, problem)
    return _merge(LABEL, 0, [_read_categories(model, 0, np.asarray(model.classes_))])


def _read_imputer(imputer: Any, index: int) -> Use:
    if imputer._fit_dtype.kind in "OU":  # a constant is an object among numbers too
        missing = imputer.missing_values
        return Use("text", missing if is_missing(missing) else "", imputer, index)
    return Use("number", reader=imputer, at=index)


def _read_categories(encoder: Any, index: int, categories: Array) -> Use:
    if categories.dtype.kind in "iub":
        return Use("integer", reader=encoder, at=index)
    if categories.dtype.kind == "f":
        return Use("number", reader=encoder, at=index)
    missing = [value for value in categories.tolist() if is_missing(value)]
    if not all(isinstance(value, str) for value in categories.tolist() if not is_missing(value)):
        problem = "has a column with categories that are neither all texts nor all numbers; make them one of both"
        raise Unsupported(type(encoder).__name__, problem)
    return Use("text", missing[0] if missing and "" not in categories.tolist() else "", encoder, index)


def _merge(name: str, place: int, uses: Sequence[Use]) -> Column:
    kinds = {use.kind for use in uses}
    if len(kinds) > 1 and "text" in kinds:
        readers = ", ".join(sorted({type(use.reader).__name__ for use in uses}))
        raise Unsupported(f"column '{name}'", f"it is read both as text and as number, by {readers}; split it in two")
    kind: Kind = "number" if "number" in kinds else uses[0].kind
    missing = next((use.missing for use in uses if use.missing != ""), "")
    return Column(name, place, kind, missing, tuple(uses))


def _restore(array: Array, column: Column) -> Array:
    """Return a column as the model takes it, with what it knows as missing instead of empty texts."""
    if column.kind != "text" or isinstance(column.missing, str):
        return array.astype(DTYPES[column.kind])
    return np.array([column.missing if text == "" else text for text in array.tolist()] + [None], object)[:-1]


def _select(part: Any, places: Sequence[int], kept: frozenset[int]) -> None:
    if not hasattr(part, "transformers_"):
        for inner in readers(part):
            _select(inner, places, kept)
        return
    position = {index: at for at, index in enumerate(index for index, place in enumerate(places) if place in kept)}
    selected: dict[str, list[int]] = {}
    for name, inner, columns in _find_inner(part):
        _select(inner, [places[index] for index in columns], kept)
        selected[name] = [position[index] for index in columns if index in position]
    part.transformers_ = [(name, inner, selected.get(name, [])) for name, inner, _ in part.transformers_]

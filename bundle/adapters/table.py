"""Rows of a table as inputs of a model."""

from typing import Annotated, Literal, NamedTuple

from snooze.bundle.contract import Length


class Column(NamedTuple):
    """A column of a table."""

    name: str  # the column's name in requests and data files
    type: Literal["number", "integer", "text"]  # what its values are
    categories: tuple[str, ...] | None = None  # the values that the model knows, as CSV has them
    closed: bool = False  # refuse other values than the categories
    missing: bool = False  # a value may be missing
    default: str | None = None  # the value where it is missing, as CSV has it


class Declaration(NamedTuple):
    """Columns, in the order of the model's features, become one input each, or together the only input."""

    kind: Literal["table"]  # the kind of the adapter
    columns: Annotated[tuple[Column, ...], Length(1)]  # the columns in their order
    extra: Literal["refuse", "ignore"] = "refuse"  # what happens to other columns

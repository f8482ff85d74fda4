from typing import Any

import numpy as np
import pytest

from snooze.bundle.adapters.table import Column, Declaration
from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import Rows
from snooze.convert.adapters.tables import complete, find_table, forbid_missing, holds_infinity
from snooze.convert.frameworks.interface import Input, Inputs

MATRIX = (Input(Tensor("features", "FP32", (-1, 2))),)


def columns(**datatypes: Datatype) -> Inputs:
    return tuple(Input(Tensor(name, datatype, (-1, 1))) for name, datatype in datatypes.items())


def table(*names: str, **arrays: Any) -> Rows:
    return Rows(dict(zip(names, (np.array([1.0, np.nan]), np.array([1, 2])), strict=True)) | arrays)


def test_a_file_names_the_columns_of_a_matrix() -> None:
    assert find_table(MATRIX, table("age", "fare")) == Declaration(
        "table", (Column("age", "number", missing=True), Column("fare", "number"))
    )


def test_the_inputs_are_columns_of_a_file_that_may_have_others() -> None:
    rows = table("age", "fare", city=np.array(["Ulm", ""], object), note=np.array(["a", "b"], object))

    assert find_table(columns(city="BYTES", fare="INT64", age="FP64"), rows) == Declaration(
        "table",
        (Column("city", "text", missing=True), Column("fare", "integer"), Column("age", "number", missing=True)),
    )


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        (MATRIX, None),
        (MATRIX, Rows({"": np.zeros((3, 2))})),
        (MATRIX, Rows({"features": np.zeros((3, 2))})),
        (MATRIX, table("0", "1")),
        (MATRIX, table("a", "b", c=np.zeros(2))),
        ((Input(Tensor("features", "FP32", (-1, -1))),), table("a", "b")),
        ((Input(Tensor("features", "BOOL", (-1, 2))),), table("a", "b")),
        ((Input(Tensor("features", "FP32", (-1, 2)), axis=None),), table("a", "b")),
        (columns(a="FP32", c="FP32"), table("a", "b")),
        ((*columns(a="FP32"), Input(Tensor("b", "FP32", (-1, 2)))), table("a", "b")),
    ],
    ids=str,
)
def test_rows_without_the_names_of_columns_make_no_table(inputs: Inputs, rows: Rows | None) -> None:
    assert find_table(inputs, rows) is None


def test_rows_get_defaults_and_codes() -> None:
    declared = Declaration(
        "table",
        (
            Column("age", "number", default="30"),
            Column("city", "text", ("Ulm", "Bonn"), coded=True, missing=True),
            Column("port", "text", default="S"),
            Column("fare", "number"),
        ),
    )
    city, port = np.array(["Bonn", None], object), np.array(["C", ""], object)

    arrays = complete(declared, table("age", "fare", city=city, port=port), "a.csv").arrays

    assert arrays["age"].tolist() == [1, 30]
    np.testing.assert_array_equal(arrays["city"], [1, np.nan])
    assert arrays["port"].tolist() == ["C", "S"]
    assert arrays["fare"].tolist() == [1, 2]


def test_says_which_value_has_no_code() -> None:
    declared = Declaration("table", (Column("city", "text", ("Ulm",), closed=True, coded=True),))

    with pytest.raises(InvalidData, match="row 1, column 'city'"):
        complete(declared, Rows({"city": np.array(["Ulm", "Rom"], object)}), "a.csv")


def test_only_what_is_missing_in_the_rows_may_be_missing() -> None:
    columns = tuple(Column(name, "number", missing=name != "c") for name in "abc")
    rows = [{"a": 1, "b": None, "c": 2}, {"a": 1, "b": 2, "c": 3}]

    allowed = forbid_missing(Declaration("table", columns, "ignore"), rows)

    assert [column.missing for column in allowed.columns] == [False, True, False]
    assert allowed.extra == "ignore"
    assert not any(column.missing for column in forbid_missing(allowed, None).columns)


def test_finds_infinity() -> None:
    assert holds_infinity(Rows({"a": np.array([1, np.inf]), "b": np.array(["a", "b"], object)}))
    assert not holds_infinity(table("a", "b"))

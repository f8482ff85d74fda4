import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bundle.conftest import CONTRACT

from snooze.bundle.adapters.table import LONG, Column, Declaration, TableAdapter, check, load
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidContract, InvalidRow

COLUMNS = (
    Column("age", "number", missing=True),
    Column("sex", "text", ("female", "male"), closed=True),
    Column("class", "integer", ("1", "2", "3")),
    Column("port", "text", ("C", "S"), missing=True),
    Column("fare", "number", default="32.2"),
)
INPUTS = (
    Tensor("fare", "FP64", (-1, 1)),
    Tensor("age", "FP32", (-1, 1)),
    Tensor("sex", "BYTES", (-1, 1)),
    Tensor("class", "INT64", (-1, 1)),
    Tensor("port", "BYTES", (-1, 1)),
)
ROW = {"age": 38.5, "sex": "female", "class": 1, "port": "C", "fare": 71}
NUMBERS = tuple(Column(name, "number", missing=name == "b") for name in "abc")
MATRIX = (Tensor("features", "FP32", (-1, 3)),)


def table(columns: tuple[Column, ...] = COLUMNS, inputs: Sequence[Tensor] = INPUTS, **options: Any) -> TableAdapter:
    return load(Declaration("table", columns, **options), inputs, Path())


def one(column: Column, datatype: Any = "FP32") -> TableAdapter:
    """A table of one column."""
    return table((column,), (Tensor(column.name, datatype, (-1, 1)),))


def assert_same(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


def test_columns_become_an_input_each_in_any_order() -> None:
    inputs = table().apply([dict(reversed(ROW.items())), ROW])

    assert {name: (array.dtype.str, array.tolist()) for name, array in inputs.items()} == {
        "fare": ("<f8", [[71.0]] * 2),
        "age": ("<f4", [[38.5]] * 2),
        "sex": ("|O", [["female"]] * 2),
        "class": ("<i8", [[1]] * 2),
        "port": ("|O", [["C"]] * 2),
    }


def test_columns_become_one_matrix_in_their_order() -> None:
    inputs = table(NUMBERS, MATRIX).apply([{"c": 3, "a": 1, "b": 2.5}, [True, None, -4]])

    assert list(inputs) == ["features"]
    np.testing.assert_array_equal(inputs["features"], np.array([[1, 2.5, 3], [1, np.nan, -4]], np.float32))


@pytest.mark.parametrize(
    ("columns", "inputs", "expected"),
    [
        (NUMBERS, MATRIX, True),
        ((*NUMBERS[:2], Column("c", "number", default="1")), MATRIX, True),
        ((*NUMBERS[:2], Column("c", "integer")), MATRIX, False),
        ((*NUMBERS[:2], Column("c", "number", ("1",), closed=True)), MATRIX, False),
        ((*NUMBERS[:2], Column("c", "number", ("1",), coded=True)), MATRIX, False),
        (COLUMNS, INPUTS, False),
    ],
)
def test_knows_whether_a_list_of_numbers_is_a_row_of_the_input(columns: Any, inputs: Any, expected: bool) -> None:
    assert table(columns, inputs).is_matrix == expected


def test_inputs_may_have_one_dimension_and_one_column_the_value_alone() -> None:
    adapter = table((Column("x", "integer"),), (Tensor("x", "INT32", (-1,)),))

    assert adapter.apply([1, [2], {"x": 3}])["x"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "row", [{"sex": "male", "class": 2}, [None, "male", 2, None, None], [np.nan, "male", 2, np.nan, np.nan]]
)
def test_what_is_missing_is_the_default_or_what_the_model_knows_as_missing(row: Any) -> None:
    inputs = table().apply([row])

    assert np.isnan(inputs["age"]).all()
    assert inputs["port"].tolist() == [[""]]
    assert inputs["fare"].tolist() == [[32.2]]


@pytest.mark.parametrize(
    ("column", "datatype", "value", "expected"),
    [
        (Column("x", "number"), "FP32", True, 1.0),
        (Column("x", "number"), "FP16", 1, 1.0),
        (Column("x", "integer"), "INT64", 5.0, 5),
        (Column("x", "integer"), "UINT8", False, 0),
        (Column("x", "integer"), "UINT64", 2**64 - 1, 2**64 - 1),
        (Column("x", "integer", missing=True), "FP32", 5, 5.0),
        (Column("x", "integer", default="7"), "INT64", None, 7),
        (Column("x", "text"), "BYTES", "", ""),
        (Column("x", "text", default="a"), "BYTES", "", "a"),
        (Column("x", "text", ("", "a"), default="a"), "BYTES", "", ""),
        (Column("x", "text", ("a",), closed=True, missing=True), "BYTES", "", ""),
        (Column("x", "number", ("1", "2"), closed=True), "FP32", 2, 2.0),
        (Column("x", "text", ("a",)), "BYTES", "new", "new"),
        (Column("x", "text", ("a", "b"), coded=True), "FP32", "b", 1.0),
        (Column("x", "integer", ("10", "20"), coded=True), "FP64", 20, 1.0),
        (Column("x", "number", ("0.5", "2"), coded=True, default="0.5"), "FP32", None, 0.0),
    ],
)
def test_values_are_those_of_pandas(column: Column, datatype: Any, value: Any, expected: Any) -> None:
    assert one(column, datatype).apply([[value]])["x"].tolist() == [[expected]]


@pytest.mark.parametrize("value", ["c", "", None])
def test_what_is_no_category_has_no_code(value: Any) -> None:
    column = Column("x", "text", ("a", "b"), coded=True, missing=True)

    assert np.isnan(one(column).apply([[value]])["x"]).all()


@pytest.mark.parametrize(
    ("change", "column", "problem"),
    [
        ({"age": "old"}, "age", 'expected a number, got "old"'),
        ({"age": [1]}, "age", "expected a number, got a list"),
        ({"age": 1e39}, "age", "expected a number that float32 can hold, got 1e+39"),
        ({"age": 10**400}, "age", "the integer is too large"),
        ({"age": float("inf")}, "age", "expected a finite number"),
        ({"sex": "Male"}, "sex", 'expected one of "female", "male", got "Male"'),
        ({"sex": ""}, "sex", 'expected one of "female", "male", got ""'),
        ({"sex": None}, "sex", "is missing; expected a text"),
        ({"sex": 1}, "sex", "expected a text, got 1"),
        ({"port": 1.5}, "port", "expected a text, got 1.5"),
        ({"port": True}, "port", "expected a text, got true"),
        ({"class": 1.5}, "class", "expected an integer, got 1.5"),
        ({"class": None}, "class", "is missing; expected an integer"),
        ({"class": 2**63}, "class", f"expected an integer from {-(2**63)} to {2**63 - 1}, got {2**63}"),
        ({"name": "Ann"}, "name", "is not a column of the model; expected age, sex, class, port, fare"),
    ],
)
def test_says_which_row_and_column_is_wrong(change: dict[str, Any], column: str, problem: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        table().apply([ROW, ROW | change])

    assert (caught.value.what, caught.value.row, caught.value.column) == ("row", 1, column)
    assert caught.value.problem == problem


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([1, 2], "expected 3 values (a, b, c), got 2"),
        (5, "expected an object or a list of 3 values"),
        ("text", "expected an object or a list of 3 values"),
        ({"a": 1, "b": 2}, "is missing; expected a number"),
    ],
)
def test_says_which_row_is_none(row: Any, problem: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        table(NUMBERS, MATRIX).apply([[1, 2, 3], row])

    assert (caught.value.row, caught.value.problem) == (1, problem)


@pytest.mark.parametrize("other", [None, 2])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (-1e300, "expected a number that float32 can hold, got -1e+300"),
        (10**400, "the integer is too large"),
        (float("inf"), "expected a finite number"),
        (float("nan"), "is missing; expected a number"),
    ],
)
def test_what_is_no_number_is_found_in_a_matrix(other: Any, value: float, problem: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        table(NUMBERS, MATRIX).apply([[1, other, 3], [1, 2, value]])

    assert (caught.value.row, caught.value.column, caught.value.problem) == (1, "c", problem)


@pytest.mark.parametrize("value", [1.5, 7])
def test_an_integer_of_a_float_input_has_no_fraction_and_is_a_category(value: float) -> None:
    adapter = one(Column("x", "integer", ("1", "2"), closed=True, missing=True))

    with pytest.raises(InvalidRow):
        adapter.apply([[value]])

    np.testing.assert_array_equal(adapter.apply([[2], [None]])["x"], np.array([[2], [np.nan]], np.float32))


def test_other_columns_are_ignored_where_the_model_ignores_them() -> None:
    assert_same(table(extra="ignore").apply([ROW | {"name": "Ann"}]), table().apply([ROW]))
    fields = {name: [str(value)] for name, value in ROW.items()}
    assert_same(table(extra="ignore").apply(fields | {"name": ["Ann"]}), table().apply([ROW]))


@pytest.mark.parametrize(
    ("column", "datatype", "field", "expected"),
    [
        (Column("x", "number"), "FP64", " 1.5 ", 1.5),
        (Column("x", "number"), "FP64", "1e3", 1000.0),
        (Column("x", "number"), "FP64", "True", 1.0),
        (Column("x", "number", default="3"), "FP64", "NA", 3.0),
        (Column("x", "number", default="3"), "FP64", "nan", 3.0),
        (Column("x", "integer"), "INT64", "5.0", 5),
        (Column("x", "integer"), "INT64", str(2**53 + 1), 2**53 + 1),
        (Column("x", "integer", default="3"), "INT64", "", 3),
        (Column("x", "text", ("a b",)), "BYTES", " a b", "a b"),
        (Column("x", "text", (" a",)), "BYTES", " a", " a"),
        (Column("x", "text", ("a",)), "BYTES", " new ", " new "),
        (Column("x", "text"), "BYTES", " as it is ", " as it is "),
        (Column("x", "text"), "BYTES", "None", "None"),
        (Column("x", "text", ("a",), missing=True), "BYTES", "None", ""),
        (Column("x", "text", ("None",)), "BYTES", "None", "None"),
    ],
)
def test_fields_of_a_csv_file_are_values(column: Column, datatype: Any, field: str, expected: Any) -> None:
    assert one(column, datatype).apply({"x": [field]})["x"].tolist() == [[expected]]


@pytest.mark.parametrize("field", ["1_000", "old", "0x1", "1,5", "--1"])
@pytest.mark.parametrize(("type_", "datatype"), [("number", "FP32"), ("integer", "INT64")])
def test_says_which_field_is_not_a_number(field: str, type_: Any, datatype: Any) -> None:
    with pytest.raises(InvalidRow) as caught:
        one(Column("x", type_), datatype).apply({"x": ["1", field]})

    assert (caught.value.row, caught.value.column) == (1, "x")
    assert caught.value.problem.endswith(f"got {json.dumps(field)}")


@pytest.mark.parametrize(("header", "column"), [("ab", "c"), ("abcd", "d")])
def test_says_which_column_of_a_csv_file_is_wrong(header: str, column: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        table(NUMBERS, MATRIX).apply({name: ["1"] for name in header})

    assert caught.value.column == column


VALUES = {
    "age": st.none() | st.integers(-(2**31), 2**31) | st.floats(-1e30, 1e30),
    "sex": st.sampled_from(["female", "male"]),
    "class": st.integers(-(2**63), 2**63 - 1),
    "port": st.none() | st.sampled_from(["C", "S"]) | st.text("abcdef ÄÖ,\"'", min_size=1),
    "fare": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}


@given(st.lists(st.fixed_dictionaries(VALUES), min_size=1))
def test_objects_lists_and_csv_fields_give_the_same_inputs(rows: list[dict[str, Any]]) -> None:
    adapter = table()
    expected = adapter.apply(rows)
    fields = {name: ["" if row[name] is None else str(row[name]) for row in rows] for name in VALUES}

    assert_same(adapter.apply([[row[name] for name in VALUES] for row in rows]), expected)
    assert_same(adapter.apply(fields), expected)
    assert_same(adapter.apply([adapter.unpack(adapter.pack(row)) for row in rows]), expected)
    assert all(len(array) == len(rows) for array in expected.values())


def test_drawn_rows_are_accepted_and_the_same_each_time() -> None:
    adapter = table()
    rows = adapter.draw(20)

    assert rows == adapter.draw(20)
    assert list(rows[0]) == [column.name for column in COLUMNS]
    assert {row["class"] for row in rows} <= {1, 2, 3}
    assert {row["port"] for row in rows} == {"C", "S"}
    assert all(row["fare"] == round(row["fare"], 2) for row in rows)
    assert adapter.draw(1) != adapter.draw(1, seed=1)
    adapter.apply(rows)
    assert one(Column("x", "text"), "BYTES").draw(1)[0]["x"].isalpha()
    assert one(Column("x", "integer"), "INT64").draw(1)[0]["x"] in range(10)


def test_estimates_what_many_values_take() -> None:
    adapter = table()

    assert not adapter.estimate([ROW]).is_long
    assert adapter.estimate([{}] * LONG).is_long
    assert adapter.estimate({"age": ["1"] * LONG}) == adapter.estimate([{}] * LONG)
    assert adapter.estimate([{}] * 10).memory == 10 * adapter.estimate([{}]).memory


@pytest.mark.parametrize(
    ("columns", "inputs", "field"),
    [
        ((*NUMBERS, NUMBERS[0]), MATRIX, "columns"),
        (NUMBERS[:2], MATRIX, "columns"),
        (COLUMNS[:4], INPUTS, "columns"),
        (NUMBERS, tuple(Tensor(name, "FP32", (-1, 2)) for name in "abc"), "columns"),
        ((Column("x", "text"),), (Tensor("x", "FP32", (-1, 1)),), "columns.x.type"),
        ((Column("x", "number"),), (Tensor("x", "INT64", (-1, 1)),), "columns.x.type"),
        ((Column("x", "number"),), (Tensor("x", "BYTES", (-1, 1)),), "columns.x.type"),
        ((Column("x", "integer", missing=True),), (Tensor("x", "INT64", (-1, 1)),), "columns.x.missing"),
        ((Column("x", "number", default="old"),), (Tensor("x", "FP32", (-1, 1)),), "columns.x.default"),
        ((Column("x", "number", default=""),), (Tensor("x", "FP32", (-1, 1)),), "columns.x.default"),
        ((Column("x", "integer", ("1", "1.5")),), (Tensor("x", "INT64", (-1, 1)),), "columns.x.categories"),
        ((Column("x", "text", closed=True),), (Tensor("x", "BYTES", (-1, 1)),), "columns.x.categories"),
        ((Column("x", "text", coded=True),), (Tensor("x", "FP32", (-1, 1)),), "columns.x.categories"),
        ((Column("x", "text", ("a",), coded=True),), (Tensor("x", "BYTES", (-1, 1)),), "columns.x.type"),
        ((Column("x", "text", ("a",), True, default="b"),), (Tensor("x", "BYTES", (-1, 1)),), "columns.x.default"),
    ],
)
def test_refuses_columns_that_the_model_does_not_take(columns: Any, inputs: Any, field: str) -> None:
    bundle = CONTRACT._replace(inputs=inputs)

    with pytest.raises(InvalidContract) as caught:
        check(Declaration("table", columns), bundle)

    assert caught.value.field == f"adapter.{field}"


def test_accepts_columns_that_the_model_takes() -> None:
    check(Declaration("table", COLUMNS), CONTRACT._replace(inputs=INPUTS))
    check(Declaration("table", NUMBERS), CONTRACT._replace(inputs=MATRIX))

from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows

MATRIX = (Tensor("features", "FP32", (-1, 2)),)


TABLE = np.array([[1.0, 2.0], [3.0, 4.5], [5.0, 6.0]])


FRAME = (Tensor("age", "FP32", (-1, 1)), Tensor("city", "BYTES", (-1, 1)), Tensor("grade", "INT64", (-1, 1)))


@pytest.mark.parametrize(
    ("arrays", "inputs", "problem"),
    [
        ({"a": TABLE, "b": TABLE}, (Tensor("x", "FP32", (-1, 2)),), "input 'x' is missing"),
        ({"": TABLE}, (Tensor("x", "FP32", (-1, 3)),), "has shape [any, 3], got [3, 2]"),
        ({"": TABLE}, (Tensor("x", "INT8", (-1, 2)),), "INT8, which cannot hold 4.5"),
        ({"": TABLE * 1e39}, (Tensor("x", "FP32", (-1, 2)),), "FP32, which cannot hold 1e+39"),
        ({"": np.array([[np.nan, 1]])}, (Tensor("x", "INT64", (-1, 2)),), "INT64, which cannot hold nan"),
        (
            {"": np.array([["a", "b"]], object)},
            (Tensor("x", "FP32", (-1, 2)),),
            "input 'x' at [0]: 'a' is not",
        ),
        (
            {"a": np.array([1.0]), "kind": np.array(["x"], object)},
            (Tensor("x", "FP32", (-1, 2)),),
            "row 0, column 'kind': 'x' is not a number; if these are the labels, add --label kind",
        ),
        (
            {"x": TABLE, "z": TABLE[:2]},
            (Tensor("x", "FP32", (-1, 2)), Tensor("z", "FP32", (-1, 2))),
            "different row counts: x has 3, z has 2",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, Any], inputs: tuple[Tensor, ...], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        fit(Rows(arrays), inputs, "rows")

    assert problem in str(caught.value)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidData, match="different row counts"):
        fit(Rows({"a": np.ones(2), "b": np.ones(3)}), MATRIX, "rows")


def test_columns_of_texts_are_one_input() -> None:
    columns = Rows({"a": np.array(["x"], object), "b": np.array(["y"], object)})

    assert fit(columns, (Tensor("words", "BYTES", (-1, 2)),), "rows")["words"].tolist() == [["x", "y"]]


@pytest.mark.parametrize(("width", "expected"), [(1, [[1.0], [2.0]]), (2, [[1.0, 2.0]])])
def test_a_flat_array_is_the_only_column_or_the_only_row(width: int, expected: list[list[float]]) -> None:
    fitted = fit(Rows({"": np.array([1.0, 2.0])}), (Tensor("x", "FP32", (-1, width)),), "rows")

    assert fitted["x"].tolist() == expected


def test_labels_must_be_as_many_as_the_rows() -> None:
    with pytest.raises(InvalidData, match="x has 3, y has 2"):
        fit(Rows({"x": TABLE}, np.array([0, 1])), (Tensor("x", "FP32", (-1, 2)),), "rows")


def test_precision_can_be_kept() -> None:
    rows = Rows({"": np.array([[0.1, 0.2]])})

    assert fit(rows, MATRIX, "rows")["features"].dtype == np.float32
    assert fit(rows, MATRIX, "rows", keep_precision=True)["features"].tolist() == [[0.1, 0.2]]


@pytest.mark.parametrize("columns", [None, ["id", "age", "city", "grade"]])
def test_rows_without_names_are_in_the_order_of_the_columns(columns: list[str] | None) -> None:
    row = [40, None, 2] if columns is None else ["id7", 40, None, 2]

    fitted = fit(Rows({"": np.array([row], object)}), FRAME, "rows", columns)

    assert [array.tolist() for array in fitted.values()] == [[[40.0]], [[""]], [[2]]]


@pytest.mark.parametrize("inputs", [FRAME, MATRIX], ids=["frame", "matrix"])
def test_says_which_columns_are_missing(inputs: tuple[Tensor, ...]) -> None:
    rows = Rows({name: np.ones(2) for name in ("age", *(f"extra {number}" for number in range(12)))})

    with pytest.raises(InvalidData) as caught:
        fit(rows, inputs, "rows", ["age", "city", "grade"])

    others = ", ".join(f"extra {number}" for number in range(10))
    assert caught.value.problem == f"columns are missing: city, grade; found instead: {others} and 2 more"


def test_known_columns_are_picked_in_their_order() -> None:
    rows = Rows({"id": np.array([7, 8]), "b": np.array([2, 4]), "a": np.array([1, 3])})

    assert fit(rows, MATRIX, "rows.csv", columns=("a", "b"))["features"].tolist() == [[1, 2], [3, 4]]


def test_a_table_is_fitted_to_an_input_for_each_column() -> None:
    """Other columns are left out; a missing text is empty, a missing number NaN."""
    table = Rows(
        {
            "city": np.array(["Ulm", ""], object),
            "extra": np.array([1, 2]),
            "age": np.array([40, np.nan]),
            "grade": np.array([2, 3]),
        }
    )

    fitted = fit(table, FRAME, "a.csv")

    assert list(fitted) == ["age", "city", "grade"]
    np.testing.assert_array_equal(fitted["age"], np.array([[40], [np.nan]], np.float32))
    assert fitted["city"].tolist() == [["Ulm"], [""]]
    assert fitted["grade"].tolist() == [[2], [3]]

from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows

FRAME = (Tensor("age", "FP32", (-1, 1)), Tensor("city", "BYTES", (-1, 1)), Tensor("grade", "INT64", (-1, 1)))


class NAType:
    """What pandas calls the class of its missing value, which is neither true nor false."""

    def __ne__(self, other: object) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


def test_missing_values_and_truth_of_pandas_are_numbers() -> None:
    rows = Rows(
        {
            "a": np.array([True, NAType(), False], object),
            "b": np.array(["True", "", "false"], object),
            "c": np.array([1, None, "2"]),
        }
    )

    fitted = fit(rows, (Tensor("x", "FP32", (-1, 3)),), "rows")

    np.testing.assert_array_equal(fitted["x"], np.array([[1, 1, 1], [np.nan] * 3, [0, 0, 2]], np.float32))


def test_says_which_row_and_column_is_not_a_number() -> None:
    rows = Rows({"age": np.array([1, "old"], object), "city": np.array(["Ulm", "Ulm"]), "grade": np.array([1, 2])})

    with pytest.raises(InvalidData, match=r"row 1, column 'age': 'old' is not a number$"):
        fit(rows, FRAME, "rows")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.0, np.nan, 2.5]), ["1", "", "2.5"]),
        (np.array([7, 8]), ["7", "8"]),
        (np.array(["a", None, float("nan")], object), ["a", "", ""]),
    ],
)
def test_values_of_a_text_input_are_texts(values: Any, expected: list[str]) -> None:
    assert fit(Rows({"code": values}), (Tensor("code", "BYTES", (-1,)),), "rows")["code"].tolist() == expected

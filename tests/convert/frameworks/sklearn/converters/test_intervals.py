import numpy as np
import pytest

from snooze.convert.frameworks.sklearn.converters.intervals import round_up


def test_numbers_are_rounded_to_what_compares_as_they_do() -> None:
    numbers = np.array([0.1, 0.3, 1.0, -0.1, 1e9 + 1, np.nan])
    rounded = round_up(numbers, np.float32)
    assert rounded.dtype == np.float32
    near = np.concatenate([numbers.astype(np.float32), np.nextafter(numbers.astype(np.float32), np.float32(-np.inf))])
    for row in near:
        np.testing.assert_array_equal(row >= rounded, float(row) >= numbers)


@pytest.mark.parametrize("number", [0.1, -2.5, 1e300])
def test_double_precision_stays_as_it_is(number: float) -> None:
    assert round_up(np.array([number]), np.float64)[0] == number

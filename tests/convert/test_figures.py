import pytest

from snooze.convert.figures import count, number, seconds, size


@pytest.mark.parametrize(
    ("value", "text"), [(1.234e-6, "1.23 µs"), (0.5e-3, "500 µs"), (0.0125, "12.5 ms"), (2, "2 s"), (0, "0 µs")]
)
def test_shows_times(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20, "1 MiB"), (3 * 2**30, "3 GiB")]
)
def test_shows_sizes(value: float, text: str) -> None:
    assert size(value) == text


def test_counts_in_the_plural_where_it_is_due() -> None:
    assert [count(value, "row") for value in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]


def test_shows_what_is_not_there_as_a_dash() -> None:
    assert [number(value) for value in (None, 0.123456, 7, "x")] == ["–", "0.1235", "7", "x"]

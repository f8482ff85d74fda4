import pytest

from snooze.bundle import units
from snooze.bundle.units import (
    format_count,
    format_duration,
    format_number,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60.0),
        ("60s", 60.0),
        (" 1.5 h ", 5400.0),
        ("500ms", 0.5),
        ("5m", 300.0),
        ("5min", 300.0),
        ("5 MIN", 300.0),
        ("0", 0.0),
    ],
)
def test_a_duration_without_a_unit_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1e3", "nan", "inf", "5 weeks", "1..2", "٣", "1d", "9999999999"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 500ms, 60s or 5m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("12B", 12),
        ("1K", 1000),
        ("1kB", 1000),
        ("1M", 10**6),
        ("1.5G", 1_500_000_000),
        ("64Ki", 2**16),
        ("64kib", 2**16),
        ("16 MiB", 2**24),
        ("1Gi", 2**30),
    ],
)
def test_sizes_are_decimal_without_an_i_and_binary_with_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "B", "0", "0.5", "-1", "1T", "1 2", "1e6", "9999999G"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as 1000000, 64KiB or 4M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ns"), (1.5e-8, "15 ns"), (1.12e-5, "11.2 µs"), (0.0123, "12.3 ms"), (0.5, "500 ms"), (61.0, "61 s")],
)
def test_durations_are_printed_with_three_digits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (2048, "2.0 KiB"), (61865984, "59.0 MiB"), (3 * 2**30, "3.0 GiB")]
)
def test_sizes_are_printed_with_a_binary_unit(count: int, text: str) -> None:
    assert format_size(count) == text


def test_counts_and_numbers_are_printed_for_people() -> None:
    assert [format_count(number, "row") for number in (0, 1, 1024)] == ["0 rows", "1 row", "1,024 rows"]
    assert [format_number(value) for value in (None, 0.123456, 7, "int8")] == ["–", "0.1235", "7", "int8"]


def test_names_beyond_a_number_are_counted() -> None:
    assert units.format_names(["a", "b"], 2) == "a, b"
    assert units.format_names(["a", "b", "c", "d"], 2) == "a, b and 2 more"

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.knative.quantities import cpu, memory, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("250m", "0.25"),
        ("64Mi", "67108864"),
        ("1.5Gi", "1610612736"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("-5", "-5"),
        (".5", "0.5"),
        ("7n", "0.000000007"),
    ],
)
def test_reads_quantities_as_kubernetes_does(text: str, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "m", "1 Mi", "64MB", "64mi", "one", "1e", "0x10", "1e999999999"])
def test_knows_what_is_no_quantity(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", "0"),
        ("90s", "90"),
        ("1h30m", "5400"),
        ("1.5s", "1.5"),
        ("250ms", "0.25"),
        ("-2s", "-2"),
        ("3µs", "0.000003"),
    ],
)
def test_reads_durations_as_go_does(text: str, seconds: str) -> None:
    assert parse_duration(text) == Decimal(seconds)


@pytest.mark.parametrize("text", ["", "60", "s", "1 s", "1d", "1s2", "1,5s"])
def test_knows_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("cores", "text"), [(0.05, "50m"), (0.051, "60m"), (0.3, "300m"), (1.0, "1"), (1.21, "1210m"), (2.0, "2")]
)
def test_writes_cores_rounded_up_to_hundredths(cores: float, text: str) -> None:
    assert cpu(cores) == text


@given(st.floats(1e-3, 64))
def test_what_is_written_is_at_least_what_was_meant(cores: float) -> None:
    written = parse_quantity(cpu(cores))

    assert written is not None
    assert cores - 1e-6 <= float(written) <= cores + 0.011


@given(st.integers(1, 2**40))
def test_memory_is_written_in_whole_mebibytes(size: int) -> None:
    written = parse_quantity(memory(size))

    assert written is not None
    assert size <= written < size + 2**20

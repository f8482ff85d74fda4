import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.knative.quantities import parse_quantity

from snooze.knative.manifest.quantities import format_cpu, format_memory, parse_cpu, parse_memory


@pytest.mark.parametrize(
    ("cores", "text"),
    [(0.05, "50m"), (0.0511, "60m"), (0.125, "125m"), (0.3, "300m"), (1.0, "1"), (1.21, "1210m"), (2.0, "2")],
)
def test_rounds_cores_up_to_hundredths(cores: float, text: str) -> None:
    assert format_cpu(cores) == text


@given(st.floats(1e-3, 64))
def test_never_writes_less_cpu_than_given(cores: float) -> None:
    assert cores - 1e-6 <= parse_quantity(format_cpu(cores)) <= cores + 0.011


@given(st.integers(1, 2**40))
def test_rounds_memory_up_to_mebibytes(size: int) -> None:
    assert size <= parse_quantity(format_memory(size)) < size + 2**20


@pytest.mark.parametrize(("text", "cores"), [("250m", 0.25), ("1m", 0.001), ("0.5", 0.5), ("2", 2), ("1.125", 1.125)])
def test_reads_cores(text: str, cores: float) -> None:
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["", "0", "0m", "0.0", "-1", "1,5", "0.5m", "1e3", "2 ", "1.2345", "½", "10000"])
def test_refuses_other_cores(text: str) -> None:
    with pytest.raises(ValueError, match="expected cores such as 250m"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "size"), [("96Mi", 96 * 2**20), ("1G", 10**9), ("5k", 5000), ("1Ti", 2**40), ("100000000", 10**8)]
)
def test_reads_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "64KiB", "1.5Gi", "1g", "5m", "1 Gi", "9999999Ti"])
def test_refuses_other_memory(text: str) -> None:
    with pytest.raises(ValueError, match="expected bytes such as 96Mi, 1G or 100000000"):
        parse_memory(text)

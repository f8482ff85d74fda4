import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.knative.quantities import parse_quantity

from snooze.knative.manifest.quantities import format_cpu, format_memory


@pytest.mark.parametrize(
    ("cores", "text"), [(0.05, "50m"), (0.051, "60m"), (0.3, "300m"), (1.0, "1"), (1.21, "1210m"), (2.0, "2")]
)
def test_rounds_cores_up_to_hundredths(cores: float, text: str) -> None:
    assert format_cpu(cores) == text


@given(st.floats(1e-3, 64))
def test_never_writes_less_cpu_than_given(cores: float) -> None:
    assert cores - 1e-6 <= parse_quantity(format_cpu(cores)) <= cores + 0.011


@given(st.integers(1, 2**40))
def test_rounds_memory_up_to_mebibytes(size: int) -> None:
    assert size <= parse_quantity(format_memory(size)) < size + 2**20

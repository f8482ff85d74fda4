import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.layout import columns, described, printable, scalar


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (None, "score", "-"),
        (True, "kept", "yes"),
        (False, "kept", "no"),
        (1234567, "rows", "1,234,567"),
        (0.98245614, "score", "0.9825"),
        (1.5e-05, "seconds", "15 µs"),
        (0.052, "interpreter_seconds", "52 ms"),
        (2048, "model_bytes", "2.0 KiB"),
        (None, "bytes", "-"),
        ("passed", "verdict", "passed"),
        ("a\x1b[31mb\nc\u202e", "verdict", r"a\x1b[31mb\nc\u202e"),
    ],
)
def test_scalar(value: object, key: str, text: str) -> None:
    assert scalar(value, key) == text


def test_columns_line_up() -> None:
    assert list(columns([("a", "1", "x"), ("bcd", "20", "")], right=(1,))) == ["a     1  x", "bcd  20"]


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({}, ["key: none"]),
        ([], ["key: none"]),
        ({"a": 1, "b": None}, ["key: a 1, b -"]),
        ({"a": {"b": 1}}, ["key:", "  a: b 1"]),
        ([1, 2], ["key: 1, 2"]),
        ([1.0] * 9, ["key: 9 values from 1 to 1"]),
        (["x"] * 9, ["key: x, x, x, x, x, x, x, x, ... (9 values)"]),
        ([{"a": 1}, []], ["key:", "  1: a 1", "  2: none"]),
        ([{"a": 1, "b": 0.5}, {"a": 22, "c": "x"}], ["key:", "  a   b    c", "  1   0.5  -", "  22  -    x"]),
        (
            [{"a": i} for i in range(60)],
            ["key:", "  a", *(f"  {i}" for i in range(50)), "  ... (60 rows; --json has all)"],
        ),
        ({"a": "x" * 60, "b": "y" * 60}, ["key:", "  a " + "x" * 60 + ",", "  b " + "y" * 60]),
        ({"a": 1, "b": {"c": [[]]}, "d": 2}, ["key:", "  a 1, d 2", "  b:", "    c:", "      1: none"]),
    ],
)
def test_described(value: object, lines: list[str]) -> None:
    assert list(described("key", value)) == lines


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text(), VALUES)
def test_nothing_in_it_can_steer_a_terminal(key: str, value: object) -> None:
    for line in described(key, value):
        assert line.isprintable()
        assert printable(line) == line
        line.encode()

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.layout import columns, printable, titled


def test_columns_line_up() -> None:
    assert list(columns([("a", "1", "x"), ("bcd", "20", "")], right=(1,))) == ["a     1  x", "bcd  20"]


def test_a_long_text_is_wrapped_beside_its_title() -> None:
    first, second = titled("parity", "word " * 30)

    assert first.startswith("parity      word word")
    assert second.startswith("            word")
    assert max(len(first), len(second)) <= 110


@pytest.mark.parametrize(("text", "printed"), [("a\x1b[31mb\nc\u202e", r"a\x1b[31mb\nc\u202e"), ("é ☀", "é ☀")])
def test_control_characters_are_escaped(text: str, printed: str) -> None:
    assert printable(text) == printed


@given(st.text())
def test_nothing_can_steer_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()

"""What `test_codec.py` does not show: a document is written and read without loss."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.json_text import parse, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), VALUES))
def test_parse_is_the_inverse_of_write(document: dict[str, Any]) -> None:
    assert parse(write(document)) == document
    assert parse(write(document).encode()) == document

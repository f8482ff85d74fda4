import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.errors import MissingExtra
from snooze.knative.manifest.document import HEADER, write

TRICKY = [
    "12e45678",
    "1e3",
    "0",
    "yes",
    "no",
    "on",
    "y",
    "n",
    "null",
    "~",
    "0o17",
    "1_000",
    "1:30",
    "",
    " a",
    "a: b",
    "# a",
]


@pytest.mark.parametrize("text", TRICKY)
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    line = write({"value": text}, {}).removeprefix(HEADER)

    assert line.rstrip("\n") in (f'value: "{text}"', f"value: '{text}'")


LEAVES = st.text(max_size=20) | st.integers() | st.booleans()


@given(st.dictionaries(st.text(min_size=1, max_size=20), LEAVES | st.lists(LEAVES, max_size=3), max_size=3))
def test_says_what_the_data_says(data: dict[str, Any]) -> None:
    assert yaml.safe_load(write(data, {})) == data


def test_a_reason_stands_above_its_field() -> None:
    data = {"spec": {"containers": [{"image": "a", "ports": [1]}], "timeoutSeconds": 60}}

    assert write(data, {("spec", "containers", 0, "ports"): "why\nso", ("spec", "timeoutSeconds"): "long"}) == (
        HEADER + "spec:\n"
        "  containers:\n"
        "    - image: a\n"
        "      # why\n"
        "      # so\n"
        "      ports:\n"
        "        - 1\n"
        "  # long\n"
        "  timeoutSeconds: 60\n"
    )


def test_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(MissingExtra) as caught:
        write({}, {})

    assert str(caught.value) == "'pyyaml' is not installed; run: pip install 'snooze[knative]'"

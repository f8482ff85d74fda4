import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snooze.bundle import names

SCHEMA: dict[str, Any] = json.loads(files("snooze.bundle").joinpath("schema.json").read_text("utf-8"))
PATTERNS = {
    names.is_model_name: SCHEMA["properties"]["name"]["pattern"],
    names.is_file_name: SCHEMA["properties"]["files"]["propertyNames"]["pattern"],
    names.is_tensor_name: SCHEMA["$defs"]["Tensor"]["properties"]["name"]["pattern"],
    names.is_hash: SCHEMA["properties"]["files"]["additionalProperties"]["pattern"],
    names.is_moment: SCHEMA["properties"]["created"]["pattern"],
}
NEAR = st.text("abAB019._-:TZsha256\n\0é", max_size=12) | st.text(max_size=8)


@pytest.mark.parametrize("check", PATTERNS, ids=lambda check: str(check.__name__))
@given(data=st.data(), near=NEAR)
@example(data=None, near="2026-02-31T23:59:59Z")
@example(data=None, near="2026-02-31T24:00:00Z")
@example(data=None, near="٢026-02-31T23:00:00Z")
@example(data=None, near="x" * 100)
@example(data=None, near="x" * 101)
@example(data=None, near="x" * 201)
@example(data=None, near="x" * 501)
@example(data=None, near="sha256:" + "A" * 64)
def test_says_the_same_as_the_schema(check: Any, data: st.DataObject | None, near: str) -> None:
    pattern = re.compile(PATTERNS[check][1:-1])
    texts = [near] if data is None else [near, data.draw(st.from_regex(pattern, fullmatch=True)) + near[:1]]

    for text in texts:
        assert check(text) is bool(pattern.fullmatch(text)), text

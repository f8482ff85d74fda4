from typing import Any

import pytest
from tests.service.openapi.signatures import fits

from snooze.service.openapi.schemas import COUNT, TEXT, Schema, any_of, list_of, object_of


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        (COUNT, [0, 7], [-1, 1.5, "1"]),
        (list_of(COUNT), [[], [1, 2]], [1, ["a"]]),
        (list_of(COUNT, 2), [[1, 2]], [[1], [1, 2, 3]]),
        (object_of({"a": COUNT, "b": TEXT}), [{"a": 1, "b": "", "c": None}], [{"a": 1}, {"a": "", "b": ""}, []]),
        (any_of(COUNT, TEXT), [1, "a"], [None, -1]),
        (any_of(COUNT), [1], ["a"]),
    ],
)
def test_forms_accept_what_they_say(schema: Schema, valid: list[Any], invalid: list[Any]) -> None:
    assert all(fits(schema, value) for value in valid)
    assert not any(fits(schema, value) for value in invalid)

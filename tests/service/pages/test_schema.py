from typing import Any

import pytest

from snooze.service.pages.schema import MAX_ROWS, Row, Schemas, layout

COUNT: Any = {"type": "integer", "minimum": 0}
NUMBER = {"type": "number", "format": "float", "minimum": -3.4e38, "maximum": 3.4e38}
TENSOR = {"type": "object", "required": ["name"], "properties": {"name": {"const": "age"}, "data": {"type": "array"}}}


@pytest.mark.parametrize(
    ("schema", "phrase"),
    [
        ({}, "any value"),
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "binary"}, "bytes"),
        ({"type": "string", "contentEncoding": "base64"}, "string in base64"),
        ({"type": ["integer", "null"], "minimum": 0}, "integer from 0 on or null"),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "integer from 1 to 1,000"),
        (NUMBER, "number (FP32)"),
        ({"type": "integer", "format": "uint8"}, "integer (UINT8)"),
        ({"const": "a"}, '"a"'),
        ({"const": "a" * 90}, f'"{"a" * 58}…'),
        ({"enum": ["a", "b", None]}, '"a" or "b" or null'),
        ({"enum": list(range(20))}, " or ".join(map(str, range(12))) + " or one of 8 others"),
        ({"type": "array", "items": NUMBER}, "list of numbers (FP32)"),
        ({"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 1}, "list of 1 object"),
        (
            {"type": "array", "minItems": 1, "items": {"type": "array", "items": NUMBER, "minItems": 4, "maxItems": 4}},
            "list of 1 or more lists of 4 numbers (FP32)",
        ),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, NUMBER]}}, "list of (strings or numbers (FP32))"),
        (
            {"type": "array", "prefixItems": [COUNT, COUNT | {"minimum": 30, "maximum": 30}]},
            "[any, 30]",
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"const": 1}]}, "[string, 1]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of numbers by name"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "boolean"}]}, "string or true or false"),
        ({"anyOf": [{"anyOf": [{"type": "string"}, NUMBER]}, {"type": "string"}]}, "string or number (FP32)"),
        ({"$ref": "#/components/schemas/Age"}, "integer from 0 on"),
    ],
)
def test_a_type_in_words(schema: Any, phrase: str) -> None:
    age = {"type": "integer", "minimum": 0}

    assert Schemas({"components": {"schemas": {"Age": age}}}).phrase(schema) == phrase


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        ({"type": "array", "description": "Rows."}, [Row("", "list of any value", True, "Rows.")]),
        (
            {"type": "object", "required": ["a"], "properties": {"a": NUMBER, "b": {"type": "array", "items": TENSOR}}},
            [
                Row("a", "number (FP32)", True, ""),
                Row("b", "list of objects", False, ""),
                Row("b[].name", '"age"', True, ""),
                Row("b[].data", "list of any value", False, ""),
            ],
        ),
        (
            {
                "type": "array",
                "items": {"anyOf": [TENSOR, TENSOR | {"properties": {"x": NUMBER}, "description": "X."}]},
            },
            [
                Row("", "list of objects", True, ""),
                Row("[age].name", '"age"', True, ""),
                Row("[age].data", "list of any value", False, ""),
                Row("[form 2]", "object", True, "X."),
                Row("[form 2].x", "number (FP32)", False, ""),
            ],
        ),
        (
            {"anyOf": [TENSOR, {"type": "array", "items": TENSOR}]},
            [
                Row("", "object or list of objects", True, ""),
                Row("name", '"age"', True, ""),
                Row("data", "list of any value", False, ""),
            ],
        ),
        (
            {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "not": {"required": ["a", "b"]}},
            [
                Row("a", "number (FP32)", False, "Not together with b."),
                Row("b", "number (FP32)", False, "Not together with a."),
            ],
        ),
    ],
)
def test_a_row_for_each_property(schema: Any, rows: list[Row]) -> None:
    assert Schemas({}).rows(schema) == rows


def test_a_table_does_not_grow_with_the_columns_of_a_model() -> None:
    rows = Schemas({}).rows({"type": "object", "properties": {f"column_{i}": NUMBER for i in range(1000)}})

    assert len(rows) < MAX_ROWS + 3
    assert rows[-1].meaning == "Further properties like these are in the OpenAPI document."


def test_a_recursive_schema_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/tree"}}}

    assert len(Schemas({"tree": tree}).rows(tree)) < MAX_ROWS + 3


def test_json_is_laid_out_for_people() -> None:
    assert layout({"rows": [[1, 2], ["ü"]]}) == '{"rows": [[1, 2], ["ü"]]}'
    assert layout({"rows": [list(range(50))]}).splitlines() == [
        "{",
        '  "rows": [',
        f"    {list(range(50))}",
        "  ]",
        "}",
    ]

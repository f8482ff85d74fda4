"""The few forms of JSON Schema that the document is made of."""

from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}


def list_of(items: Schema, size: int = -1) -> Schema:
    """Return the schema of a list of so many items; -1 is any number."""
    return {"type": "array", "items": items} | ({} if size == -1 else {"minItems": size, "maxItems": size})


def object_of(properties: dict[str, Schema]) -> Schema:
    """Return the schema of an object that holds all of these, and perhaps more."""
    return {"type": "object", "required": list(properties), "properties": properties}


def any_of(*schemas: Schema) -> Schema:
    """Return the schema of what fits one of `schemas` or several."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}

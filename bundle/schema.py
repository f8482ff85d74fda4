"""
The JSON Schema of `bundle.json`, derived from the types that read it: `python -m snooze.bundle.schema` prints it.

`schema.json` beside this module is its output, for other programs.
"""

import inspect
import json
import re
from collections.abc import Mapping
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from snooze.bundle.adapters.registry import KINDS
from snooze.bundle.contract import MAX_INTEGER, SCHEMA_VERSION, Bundle, JsonObject, Length
from snooze.bundle.evidence import Evidence, Profile
from snooze.bundle.names import Text

BEYOND = """\
Beyond this schema: no key occurs twice in an object; integers have no fraction or exponent; names are unique among \
the inputs and among the outputs; inputs have no role; the keys of tolerance are the names of the outputs; exact \
excludes rtol and atol; columns exclude atol, and are as many as the output's last dimension; samples.npz and \
session.file are keys of files; there are as many labels as the last dimension of an output with the role scores, if \
that is fixed (two labels may have one score); each tensor is variable (-1) along batching.axis."""
SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the contract."""
    definitions: dict[str, Any] = {}
    document = _object(Bundle, definitions, closed=True)
    properties = document["properties"]
    for name, kind in (("evidence", Evidence), ("profile", Profile)):
        properties[name] = {
            "description": properties[name]["description"],
            **_describe(kind, definitions, closed=False),
        }
    kinds = [import_module(f"snooze.bundle.adapters.{kind}").Declaration for kind in KINDS]
    properties["adapter"]["anyOf"] = [*(_describe(kind, definitions, closed=True) for kind in kinds), SCALARS[NoneType]]
    version = {"description": "The version of this contract.", "const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"bundle.json of Snooze, schema {SCHEMA_VERSION}",
        **document,
        "description": f"{document['description']} {BEYOND}",
        "required": ["schema", *document["required"]],
        "properties": {"schema": version, **properties},
        "$defs": dict(sorted(definitions.items())),
    }


def _object(kind: Any, definitions: dict[str, Any], closed: bool) -> dict[str, Any]:
    summary, descriptions = _documentation(kind)
    return {
        "description": summary,
        "type": "object",
        "required": [name for name in kind._fields if name not in kind._field_defaults],
        "additionalProperties": not closed,
        "properties": {
            name: {"description": descriptions[name], **_describe(kind.__annotations__[name], definitions, closed)}
            for name in kind._fields
        },
    }


def _describe(annotation: Any, definitions: dict[str, Any], closed: bool) -> dict[str, Any]:
    """Return the schema of a value; that of a record goes into `definitions`."""
    if hasattr(annotation, "_fields"):
        name, home = annotation.__name__, annotation.__module__.rpartition(".")[2]
        if name == "Declaration":
            name = home.capitalize()
        elif not closed and home != "evidence":
            name = f"Open{name}"
        if name not in definitions:
            definitions[name] = {}  # reserves the place, should it refer to itself
            definitions[name] = _object(annotation, definitions, closed)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(arguments[0], definitions, closed) | _rule(arguments[1])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [_describe(one, definitions, closed) for one in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _describe(arguments[0], definitions, closed)}
    if annotation == JsonObject:
        return {"type": "object"}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        names = _describe(arguments[0], definitions, closed)
        keys = {} if arguments[0] is str else {"propertyNames": names}
        return {"type": "object", **keys, "additionalProperties": _describe(arguments[1], definitions, closed)}
    return SCALARS[annotation]


def _rule(rule: Any) -> dict[str, Any]:
    if isinstance(rule, Text):
        return {"pattern": rule.pattern}
    if isinstance(rule, Length):
        return {"minItems": rule.least} | ({} if rule.most is None else {"maxItems": rule.most})
    return {"minimum": rule.least, "maximum": rule.most}


def _documentation(kind: Any) -> tuple[str, dict[str, str]]:
    """Return a type's docstring, and the comments behind its fields."""
    comments = re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(kind), re.MULTILINE)
    return inspect.getdoc(kind) or "", dict(comments)


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))

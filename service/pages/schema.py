"""JSON Schema in words: a phrase for each type, and a row of a table for each property."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

MAX_ROWS: Final = 80  # of one table; a model of hundreds of inputs has as many, which are all alike
MAX_CHOICES: Final = 12
MAX_CHARACTERS: Final = 60  # of a value in a phrase
NOUNS: Final = {
    "string": ("string", "strings"),
    "number": ("number", "numbers"),
    "integer": ("integer", "integers"),
    "boolean": ("true or false", "booleans"),
    "object": ("object", "objects"),
    "null": ("null", "nulls"),
}
FORMATS: Final = {"float": "FP32", "double": "FP64"}


class Row(NamedTuple):
    """One property: where it is (`rows[].age`), what its value is, whether it may be left out, and what it means."""

    path: str
    phrase: str
    is_required: bool
    meaning: str


class Schemas:
    """The schemas of one OpenAPI document, whose references it resolves."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def resolve(self, part: Any) -> Any:
        """Return a part of the document, or what it refers to."""
        found: Any = self._document
        if "$ref" not in part:
            return part
        for key in part["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return found

    def rows(self, schema: Any) -> list[Row]:
        """Return a row for the value itself (its path is empty) unless it is an object, and one for each property."""
        schema = self.resolve(schema)
        found = [Row("", self.phrase(schema), True, schema.get("description", ""))]
        if "properties" in schema:
            found.clear()
        for row in self._properties(schema, ""):
            if len(found) > MAX_ROWS:
                found.append(Row("", "", True, "Further properties like these are in the OpenAPI document."))
                break
            found.append(row)
        return found

    def phrase(self, schema: Any, plural: bool = False) -> str:
        """Return what a value is, such as `list of 2 numbers`."""
        schema = self.resolve(schema)
        if "const" in schema:
            return _shorten(schema["const"])
        if "enum" in schema:
            shown = [_shorten(value) for value in schema["enum"][:MAX_CHOICES]]
            more = len(schema["enum"]) - len(shown)
            return " or ".join(shown) + (f" or one of {more} others" if more else "")
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self.phrase(one, plural) for one in self._options(schema)))
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        return " or ".join(self._phrase_of(kind, schema, plural) for kind in types) or "any value"

    def _phrase_of(self, kind: str, schema: Any, plural: bool) -> str:
        if kind == "array":
            return self._list(schema, plural)
        noun = NOUNS[kind][plural]
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"{noun} of {self.phrase(schema['additionalProperties'], plural=True)} by name"
        if kind == "string":
            return _string(schema, noun, plural)
        if kind in ("number", "integer"):
            return noun + _limits(schema)
        return noun

    def _list(self, schema: Any, plural: bool) -> str:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if "prefixItems" in schema:
            return f"[{', '.join(self._place(one) for one in schema['prefixItems'])}]"
        number = f"{least} " if least == most else f"{least} or more " if least else ""
        noun = "lists" if plural else "list"
        items = self.phrase(schema.get("items", {}), plural=number != "1 ")
        return f"{noun} of {number}{f'({items})' if ' or ' in items else items}"

    def _place(self, schema: Any) -> str:
        """Return what one place of a list holds: of a shape, its size."""
        schema = self.resolve(schema)
        if schema.get("type") != "integer":
            return self.phrase(schema)
        return str(schema["minimum"]) if schema.get("maximum") == schema["minimum"] else "any"

    def _properties(self, schema: Any, path: str) -> Iterator[Row]:
        schema = self.resolve(schema)
        if "items" in schema:
            yield from self._properties(schema["items"], f"{path}[]")
        options = [one for one in self._options(schema) if self._has_properties(one)] if "anyOf" in schema else []
        options = [one for one in options if one.get("items") not in options]  # one row, or a list of such rows
        for i, one in enumerate(options):
            own = path if len(options) == 1 else _name_option(one, path, i)
            if "description" in one:
                yield Row(own, self.phrase(one), True, one["description"])
            yield from self._properties(one, own)
        required = schema.get("required", ())
        forbidden = schema.get("not", {}).get("required", ())
        for name, one in schema.get("properties", {}).items():
            one = self.resolve(one)
            own = f"{path}.{name}" if path else name
            others = [other for other in forbidden if other != name] if name in forbidden else []
            meaning = [one.get("description", ""), f"Not together with {', '.join(others)}." if others else ""]
            yield Row(own, self.phrase(one), name in required, " ".join(filter(None, meaning)))
            yield from self._properties(one, own)

    def _options(self, schema: Any) -> list[Any]:
        """Return the schemas of which a value fits one, also of choices within a choice."""
        schema = self.resolve(schema)
        return [one for option in schema["anyOf"] for one in self._options(option)] if "anyOf" in schema else [schema]

    def _has_properties(self, schema: Any) -> bool:
        return "properties" in schema or ("items" in schema and self._has_properties(self.resolve(schema["items"])))


def layout(value: Any, width: int = 88, indent: int = 0) -> str:
    """Return JSON for people: what fits into a line, and every list of plain values, is on one line."""
    line = json.dumps(value, ensure_ascii=False)
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if len(line) + indent <= width or not any(isinstance(one, dict | list) for one in inner):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {layout(one, width, indent + 2)}" for key, one in value.items()
        ]
        return "{\n" + ",\n".join(pad + part for part in parts) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + layout(one, width, indent + 2) for one in value) + "\n" + " " * indent + "]"


def _string(schema: Any, noun: str, plural: bool) -> str:
    if schema.get("format") == "binary":
        return "bytes"
    return f"{noun} in base64" if schema.get("contentEncoding") == "base64" else noun


def _limits(schema: Any) -> str:
    if "format" in schema:
        return f" ({FORMATS.get(schema['format'], schema['format'].upper())})"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" from {least:,.12g} to {most:,.12g}"
    return "" if least is None else f" from {least:,.12g} on"


def _name_option(schema: Any, path: str, index: int) -> str:
    """Return a path for one of several forms: a tensor by its name, any other by its number."""
    name = schema.get("properties", {}).get("name", {}).get("const")
    place = name if name is not None else f"form {index + 1}"
    return f"{path.removesuffix('[]')}[{place}]" if path.endswith("[]") else f"{path} ({place})"


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"

"""`schema.json` says to other programs what `decode` accepts and what the dataclasses hold."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from snooze.bundle import contract
from snooze.bundle.codec import decode, encode
from snooze.bundle.errors import BundleError

SCHEMA: dict[str, Any] = json.loads(files("snooze.bundle").joinpath("schema.json").read_text("utf-8"))
DATACLASSES = [
    contract.Batching,
    contract.Bundle,
    contract.Evidence,
    contract.Profile,
    contract.Run,
    contract.Session,
    contract.Source,
    contract.Tensor,
    contract.Tolerance,
]
CHOICES = {
    ("Bundle", "task"): (*contract.TASKS, None),
    ("Tensor", "datatype"): contract.DATATYPE_NAMES,
    ("Tensor", "role"): contract.ROLES,
    ("Session", "optimization"): contract.OPTIMIZATIONS,
    ("Session", "run_in"): contract.RUN_IN,
    ("Evidence", "data"): contract.DATA,
}
# What a JSON Schema cannot say: it compares no two places of a document. `decode` refuses these besides.
BEYOND_THE_SCHEMA = (
    re.compile(r"bundle\.json: (inputs|outputs)\[\d+\]\.name: .* stands twice"),
    re.compile(r"bundle\.json: tolerance\..*: no such output; there are: .*", re.DOTALL),
    re.compile(r"bundle\.json: tolerance: output .* has none"),
    re.compile(r"bundle\.json: session\.file: .* is not in files"),
    re.compile(r"bundle\.json: labels: there are \d+, but .* scores a row"),
    re.compile(r"bundle\.json: batching\.axis: .* batching must be null", re.DOTALL),
    re.compile(r"bundle\.json: .*expected a whole number from .*, got -?\d+\.0", re.DOTALL),
    re.compile(r"bundle\.json: schema version 1\.0 is not supported.*"),
)


def described(name: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA if name == "Bundle" else SCHEMA["$defs"][name]
    return found


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[jsonschema.ValidationError]:
    """Match as ECMA-262, which JSON Schema prescribes: there `$` is the end and not a newline before it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})(SCHEMA)


def accepts(document: object) -> bool:
    """Return whether `decode` accepts a document, or refuses it only for what a schema cannot say."""
    try:
        decode(json.dumps(document))
    except BundleError as error:
        return any(rule.fullmatch(str(error)) for rule in BEYOND_THE_SCHEMA)
    return True


def test_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("dataclass", DATACLASSES, ids=lambda dataclass: str(dataclass.__name__))
def test_describes_each_field_and_no_other(dataclass: type) -> None:
    schema = described(dataclass.__name__)
    declared = {field.name for field in fields(dataclass)} - {"more"}
    in_schema = set(schema["properties"]) - ({"schema"} if dataclass is contract.Bundle else set())

    assert in_schema == declared


@pytest.mark.parametrize("dataclass", DATACLASSES, ids=lambda dataclass: str(dataclass.__name__))
def test_keeps_other_keys_exactly_where_the_dataclass_does(dataclass: type) -> None:
    keeps = "more" in {field.name for field in fields(dataclass)}

    assert described(dataclass.__name__).get("additionalProperties", True) is keeps


@pytest.mark.parametrize(("place", "known"), CHOICES.items(), ids=str)
def test_knows_the_same_choices(place: tuple[str, str], known: tuple[str | None, ...]) -> None:
    name, key = place

    assert tuple(described(name)["properties"][key]["enum"]) == known


def test_describes_everything() -> None:
    for name in ("Bundle", *SCHEMA["$defs"]):
        for key, schema in described(name)["properties"].items():
            assert "description" in schema or "$ref" in schema, f"{name}.{key}"


@given(st.data())
def test_accepts_what_is_encoded(bundles: st.SearchStrategy[contract.Bundle], data: st.DataObject) -> None:
    VALIDATOR.validate(json.loads(encode(data.draw(bundles))))


OTHER_VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, -2, 1.0, 0.5, 2**53, 1e301, "", "x", "x\n", "..", "bundle.json"]),
    st.sampled_from([[], {}, [1], {"kind": "image"}, {"exact": True}, {"exact": False}, "2026-13-01T00:00:00Z"]),
    st.text(max_size=3),
    st.integers(),
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def mutate(document: Any, data: st.DataObject) -> object:
    """Return the document with one key dropped, added or renamed, one item repeated or one value replaced."""
    path = data.draw(st.sampled_from(list(places(document))), "place")
    target = at(document, path)
    kind = data.draw(st.sampled_from(["replace", "drop", "add", "repeat"]), "kind")
    if kind == "replace":
        value = data.draw(OTHER_VALUES, "value")
        if not path:
            return value
        at(document, path[:-1])[path[-1]] = value
    elif kind == "drop":
        assume(path)
        del at(document, path[:-1])[path[-1]]
    elif kind == "add":
        assume(isinstance(target, dict))
        key = data.draw(st.sampled_from(["role", "exact", "rtol", "kind", "x", "../x", "bundle.json", "x\n"]), "key")
        target[key] = data.draw(OTHER_VALUES, "value")
    else:
        assume(isinstance(target, list))
        assume(target)
        target.append(target[0])
    return document


@given(st.data())
def test_accepts_of_changed_documents_what_decode_accepts(
    bundles: st.SearchStrategy[contract.Bundle], data: st.DataObject
) -> None:
    document = mutate(json.loads(encode(data.draw(bundles))), data)

    assert VALIDATOR.is_valid(document) is accepts(document)


def test_accepts_what_decode_accepts_after_each_single_change(contract: contract.Bundle) -> None:
    """The same without chance: every key of one contract dropped, and replaced by every kind of value."""
    original = json.loads(encode(contract))
    values: list[object] = [None, True, -1, 1, 0.5, 1.0, "", "x", [], {}, [[]], {"exact": True}]
    for path in list(places(original))[1:]:
        for value in values:
            document = json.loads(encode(contract))
            at(document, path[:-1])[path[-1]] = value
            assert VALIDATOR.is_valid(document) is accepts(document), (path, value)
        document = json.loads(encode(contract))
        del at(document, path[:-1])[path[-1]]
        assert VALIDATOR.is_valid(document) is accepts(document), path

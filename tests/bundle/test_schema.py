"""`schema.json` says to other programs what `decode`, `read_evidence` and `read_profile` accept."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jsonschema
from hypothesis import assume, given
from hypothesis import strategies as st

from snooze.bundle.codec import decode, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidContract, UnknownSchema
from snooze.bundle.evidence import read_evidence, read_profile
from snooze.bundle.schema import schema

SCHEMA: dict[str, Any] = json.loads(files("snooze.bundle").joinpath("schema.json").read_text("utf-8"))
# What a JSON Schema cannot say, because it compares no two places of a document. `decode` refuses these as well.
BEYOND_THE_SCHEMA = (
    r"(inputs|outputs)\[\d+\]\.name: .* is duplicated",
    r"inputs\[\d+\]\.role: is only allowed for outputs",
    r"tolerance\..*: (is not an output; .*|is missing|expected exact, or rtol and atol, got both)",
    r"tolerance\..*\.columns: expected one for each column of .* and no atol, got \d+",
    r"files\..*: is missing",
    r"labels: (.* is duplicated|expected .*, one for each score, got \d+)",
    r"batching\.axis: .* batching must be null",
    r".*: expected an integer, got -?\d+\.0",
)


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[jsonschema.ValidationError]:
    """Match as ECMA-262, which JSON Schema prescribes: there `$` is the end and not a newline before it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})(SCHEMA)


def accepts(document: object) -> bool:
    """Return whether a document is accepted, or refused only for what a schema cannot say."""
    try:
        bundle = decode(json.dumps(document))
        read_evidence(bundle), read_profile(bundle)
    except InvalidContract as error:
        problem = f"{error.field}: {error.problem}"
        return any(re.fullmatch(rule, problem, re.DOTALL) for rule in BEYOND_THE_SCHEMA)
    except UnknownSchema as error:
        return error.found == 2.0 and type(error.found) is float
    return True


def test_the_published_schema_is_the_one_of_the_types() -> None:
    """If not: `python -m snooze.bundle.schema > bundle/schema.json`."""
    assert schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@given(st.data())
def test_accepts_what_is_encoded(bundles: st.SearchStrategy[Bundle], data: st.DataObject) -> None:
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
    bundles: st.SearchStrategy[Bundle], data: st.DataObject
) -> None:
    document = mutate(json.loads(encode(data.draw(bundles))), data)

    assert VALIDATOR.is_valid(document) is accepts(document)


def test_accepts_what_decode_accepts_after_each_single_change(contract: Bundle) -> None:
    """The same without chance: every key of one contract dropped, and replaced by every kind of value."""
    original = json.loads(encode(contract))
    values: list[object] = [None, -1, "x", True, 1, 0.5, 1.0, "", [], {}, [[]], {"exact": True}]
    for path in list(places(original))[1:]:
        for value in values[:3] if path[0] in ("evidence", "profile") else values:
            document = json.loads(encode(contract))
            at(document, path[:-1])[path[-1]] = value
            assert VALIDATOR.is_valid(document) is accepts(document), (path, value)
        document = json.loads(encode(contract))
        del at(document, path[:-1])[path[-1]]
        assert VALIDATOR.is_valid(document) is accepts(document), path

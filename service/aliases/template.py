"""
What an alias answers: JSON in which each string names what takes its place.

| in the template | in the answer |
| --- | --- |
| `"input"` | the row as it was sent |
| `"model"`, `"version"` | the name and the version of the model |
| another string | what `/predict` answers under this key: `label`, `confidence`, `value`, an output's name |
| `{"$output": NAME}` | the output itself: of a label the number of the class |
| `{"$each": TEMPLATE}` | a list of the template for each row |
| `{"$const": VALUE}` | the value itself, whatever it is |

If a list of rows was sent, a string outside of `$each` becomes the list of this for all rows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from snooze.bundle.codec import show

MAX_DEPTH: Final = 16


class Leaf(NamedTuple):
    """What is replaced for each row: by what was sent, something of its prediction, or of an output itself."""

    kind: Literal["sent", "prediction", "output"]
    name: str


class Each(NamedTuple):
    """A list of a template for each row."""

    template: Any


class Const(NamedTuple):
    """A value that is always the same."""

    value: Any


SENT: Final = Leaf("sent", "input")
FACTS: Final = {"model": "", "version": 0}
Template: TypeAlias = Any  # a leaf, `Each`, `Const`, or a dict or a list of templates


def parse(document: Any, facts: Mapping[str, Any] = FACTS, depth: int = 0) -> Template:
    """
    Return the template that a JSON value describes. `facts` are what is the same for all rows.

    Raises:
        ValueError: says what it must not contain.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} deep")
    if type(document) is str:
        if document in facts:
            return Const(facts[document])
        return SENT if document == SENT.name else Leaf("prediction", document)
    if type(document) is list:
        return [parse(item, facts, depth + 1) for item in document]
    if type(document) is not dict:
        raise ValueError(
            f'expected a string, an object or a list, got {show(document)}; a constant is {{"$const": ...}}'
        )
    if any(key.startswith("$") for key in document):
        return _parse_special(document, facts, depth)
    return {key: parse(item, facts, depth + 1) for key, item in document.items()}


def parts(template: Template) -> Iterator[Leaf | Each]:
    """Yield what is replaced, from left to right; of `Each` only itself."""
    if isinstance(template, Leaf | Each):
        yield template
    elif isinstance(template, dict | list):
        for item in template.values() if isinstance(template, dict) else template:
            yield from parts(item)


def leaves(template: Template) -> Iterator[Leaf]:
    """Yield every leaf, those within `Each` too."""
    for part in parts(template):
        if isinstance(part, Each):
            yield from leaves(part.template)
        else:
            yield part


def fill(template: Template, find: Callable[[Leaf], Any]) -> Any:
    """Return a template that contains no `Each` with each leaf replaced by what `find` returns for it."""
    if isinstance(template, Leaf):
        return find(template)
    if isinstance(template, Const):
        return template.value
    if isinstance(template, list):
        return [fill(item, find) for item in template]
    return {key: fill(item, find) for key, item in template.items()}


def write(template: Template) -> Iterator[bytes | Leaf | Each]:
    """Yield the JSON of a template, piece by piece, and in its place what is replaced."""
    if isinstance(template, Leaf | Each):
        yield template
    elif isinstance(template, Const):
        yield orjson.dumps(template.value)
    elif isinstance(template, list):
        yield b"["
        for at, item in enumerate(template):
            yield b"," if at else b""
            yield from write(item)
        yield b"]"
    else:
        yield b"{"
        for at, (key, item) in enumerate(template.items()):
            yield b"%s%s:" % (b"," if at else b"", orjson.dumps(key))
            yield from write(item)
        yield b"}"


def _parse_special(document: Mapping[str, Any], facts: Mapping[str, Any], depth: int) -> Template:
    ((key, value), *others) = document.items()
    if not others and key == "$const":
        return Const(value)
    if not others and key == "$output" and type(value) is str:
        return Leaf("output", value)
    if not others and key == "$each":
        template = parse(value, facts, depth + 1)
        if not any(isinstance(part, Each) for part in parts(template)):
            return Each(template)
    problem = 'expected {"$const": VALUE}, {"$output": NAME}, or {"$each": TEMPLATE} that contains no other'
    raise ValueError(f"{problem}, got {show(dict(document))} with: {', '.join(document)}")

from typing import Any, cast

import orjson
import pytest

from snooze.service.aliases.template import FACTS, SENT, Const, Each, Leaf, fill, leaves, parse, parts, write

LABEL = Leaf("prediction", "label")


@pytest.mark.parametrize(
    ("document", "template"),
    [
        ("label", LABEL),
        ("input", SENT),
        ("model", Const("")),
        ({"class": "label"}, {"class": LABEL}),
        (["label", []], [LABEL, []]),
        ({"$output": "input"}, Leaf("output", "input")),
        ({"$const": {"$const": [None]}}, Const({"$const": [None]})),
        ({"output": "label"}, {"output": LABEL}),
        ({"$each": ["label"]}, Each([LABEL])),
    ],
)
def test_strings_name_what_takes_their_place(document: Any, template: Any) -> None:
    parsed = parse(document)

    assert (parsed, type(parsed)) == (template, type(template))


def test_facts_of_the_model_are_constants() -> None:
    assert parse(["model", "version"], {"model": "m", "version": 3}) == [Const("m"), Const(3)]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, 'expected a string, an object or a list, got null; a constant is {"$const": ...}'),
        ({"ok": True}, 'expected a string, an object or a list, got true; a constant is {"$const": ...}'),
        ({"$each": {"x": {"$each": "label"}}}, "got an object with: $each"),
        ({"$constant": 1}, "got an object with: $constant"),
        ({"$const": 1, "more": 2}, "got an object with: $const, more"),
        ({"$output": 1}, "got an object with: $output"),
    ],
)
def test_says_what_a_template_must_not_contain(document: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(document)

    assert str(caught.value).endswith(problem)


def test_a_template_has_a_limited_depth() -> None:
    deep: Any = "label"
    for _ in range(17):
        deep = [deep]

    with pytest.raises(ValueError, match="is nested more than 16 deep"):
        parse(deep)
    parse(deep[0])


def test_names_its_parts_and_its_leaves() -> None:
    template = parse({"a": "label", "b": [{"$each": {"c": "input", "d": {"$const": 1}}}, {"$output": "y"}]})
    each = Each({"c": SENT, "d": Const(1)})

    assert list(parts(template)) == [LABEL, each, Leaf("output", "y")]
    assert list(leaves(template)) == [LABEL, SENT, Leaf("output", "y")]
    assert set(FACTS) == {"model", "version"}


@pytest.mark.parametrize(
    "document", [{}, [], {"a": [], "b": {}}, {'ä"': ["label", {"$const": [1, None]}], "x": "input"}]
)
def test_writes_what_it_fills_in(document: Any) -> None:
    template = parse(document)

    written = [piece if isinstance(piece, bytes) else orjson.dumps(cast(Leaf, piece).name) for piece in write(template)]
    assert orjson.loads(b"".join(written)) == fill(template, lambda leaf: leaf.name)

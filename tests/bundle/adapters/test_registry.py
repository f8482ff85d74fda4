from pathlib import Path
from typing import Any

import pytest

from snooze.bundle.adapters import registry, text
from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.errors import InvalidContract

TEXTS = (Tensor("text", "BYTES", (-1,)),)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_kind_has_what_an_adapter_needs(kind: str) -> None:
    found = registry.find(kind)

    assert found.Declaration._fields[0] == "kind"
    assert callable(found.check)
    assert callable(found.load)


@pytest.mark.parametrize("kind", ["sound", None, ["table"]])
def test_an_unknown_kind_is_refused(kind: Any) -> None:
    with pytest.raises(InvalidContract) as caught:
        registry.declaration({"kind": kind, "input": "text"})

    assert caught.value.field == "adapter.kind"


def test_a_field_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidContract) as caught:
        registry.declaration({"kind": "text", "input": 7})

    assert caught.value.field == "adapter.input"


def test_the_declaration_is_checked_against_the_signature(contract: Bundle) -> None:
    declared = {"kind": "text", "input": "text"}

    registry.check(contract._replace(adapter=declared, inputs=TEXTS))
    with pytest.raises(InvalidContract) as caught:
        registry.check(contract._replace(adapter=declared))

    assert caught.value.field == "adapter.input"


def test_loads_the_adapter_of_a_bundle(contract: Bundle, tmp_path: Path) -> None:
    assert registry.load(contract, tmp_path) is None
    found = registry.load(contract._replace(adapter={"kind": "text", "input": "text"}, inputs=TEXTS), tmp_path)

    assert isinstance(found, text.TextAdapter)
    assert found.apply(["a"])["text"].tolist() == ["a"]

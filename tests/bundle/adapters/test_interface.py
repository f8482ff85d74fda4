import inspect

import pytest

from snooze.bundle.adapters import registry
from snooze.bundle.adapters.interface import Adapter


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_adapter_does_what_is_needed(kind: str) -> None:
    adapter = getattr(registry.find(kind), f"{kind.capitalize()}Adapter")
    needed = {name for name, _ in inspect.getmembers(Adapter, inspect.isfunction) if not name.startswith("_")}

    assert needed == {"estimate", "apply", "draw", "pack", "unpack"}
    assert needed <= {name for name, _ in inspect.getmembers(adapter, inspect.isfunction)}

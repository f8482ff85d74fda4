"""The contract's types are light, and reading them imports nothing that the server does not need."""

import subprocess
import sys

import pytest

from snooze.bundle.contract import Bundle


def test_is_immutable(contract: Bundle) -> None:
    with pytest.raises(AttributeError):
        contract.version = 2  # type: ignore[misc]


@pytest.mark.process
@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("snooze.bundle.store", {"numpy", "dataclasses", "inspect", "snooze.bundle.evidence", "hashlib"}),
        ("numpy, snooze.bundle.samples", {"snooze.bundle.draft", "snooze.bundle.evidence", "shutil", "zipfile"}),
    ],
)
def test_reading_imports_only_what_it_needs(modules: str, absent: set[str]) -> None:
    before = modules.partition(",")[0] if "," in modules else "sys"
    program = f"import sys, {before}; seen = set(sys.modules); import {modules}; print(*(set(sys.modules) - seen))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert not absent & set(done.stdout.split())

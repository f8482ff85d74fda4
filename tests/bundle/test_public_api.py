import subprocess
import sys

import pytest

import snooze.bundle


@pytest.mark.parametrize("name", snooze.bundle.__all__)
def test_exports_what_it_lists(name: str) -> None:
    assert getattr(snooze.bundle, name) is not None


def test_lists_what_it_exports() -> None:
    homes = [name for names in snooze.bundle._HOMES.values() for name in names]

    assert sorted(snooze.bundle.__all__) == sorted(homes)
    assert sorted(dir(snooze.bundle)) == sorted(snooze.bundle.__all__)


def test_has_no_other_name() -> None:
    with pytest.raises(AttributeError, match=r"^module 'snooze.bundle' has no attribute 'write'$"):
        getattr(snooze.bundle, "write")  # noqa: B009 - that it is no attribute is the point


def loaded_after(statement: str) -> set[str]:
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_it_does_no_work() -> None:
    loaded = loaded_after("import snooze.bundle")

    assert {name for name in loaded if name.startswith("snooze.")} == {"snooze.bundle"}
    assert not {"numpy", "json", "dataclasses", "pathlib"} & loaded


def test_reading_a_contract_needs_no_numpy() -> None:
    assert "numpy" not in loaded_after("import snooze.bundle.store")


def test_reading_brings_nothing_that_only_writing_needs() -> None:
    statement = "import numpy; before |= set(sys.modules); import snooze.bundle.store, snooze.bundle.samples"

    assert not {"snooze.bundle.draft", "fcntl", "shutil", "tempfile", "zipfile", "numpy.typing"} & loaded_after(
        statement
    )

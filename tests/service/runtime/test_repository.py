from pathlib import Path

import numpy as np
import pytest
from tests.service.conftest import publish, regressor

from snooze.bundle.errors import BundleError
from snooze.bundle.store import find
from snooze.service.errors import GoldenMismatch
from snooze.service.runtime.repository import Entry, Repository, check, load, prove

OTHER = {"value": np.array([[6], [16]], np.float32)}


def test_the_highest_version_is_the_default(tmp_path: Path) -> None:
    for _ in range(10):
        publish(tmp_path, "sum", regressor())

    assert load(find(tmp_path), 1).default("sum").version == 10


def test_a_version_that_cannot_answer_is_no_default(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    publish(tmp_path, "sum", regressor(), golden_outputs=OTHER)
    repository = load(find(tmp_path), 1)
    prove(repository, lambda phase: None)

    assert repository.default("sum").version == 1


def test_a_loaded_model_is_not_ready_until_it_is_proved(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    repository = load(find(tmp_path), 1)
    phases: list[str] = []

    assert repository.unready("all") == "model 'sum' version 1: is not loaded yet"
    prove(repository, phases.append)
    assert repository.unready("all") is None
    assert phases == ["golden", "adapter", "warm_up", "golden"]


def test_an_entry_keeps_the_error_of_its_bundle(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    publish(tmp_path, "wrong", regressor(), golden_outputs=OTHER)
    (publish(tmp_path, "broken", regressor()) / "bundle.json").write_text("{")
    repository = load(find(tmp_path), 1)
    prove(repository, lambda phase: None)
    errors = {entry.name: type(entry.error) for entry in repository.entries}

    assert errors["wrong"] is GoldenMismatch
    assert issubclass(errors["broken"], BundleError)
    assert errors["sum"] is type(None)
    assert repository.unready("any") is None
    check(repository, "any")
    with pytest.raises(BundleError):
        check(repository, "all")


def test_nothing_loaded_is_not_ready() -> None:
    assert Repository([Entry("sum", 1, None)]).unready("any") is not None

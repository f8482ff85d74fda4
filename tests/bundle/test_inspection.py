from collections.abc import Callable
from pathlib import Path

import pytest

from snooze.bundle.errors import InvalidContract, InvalidSamples, WrongHash
from snooze.bundle.inspection import inspect
from snooze.bundle.store import find

Publish = Callable[..., Path]


@pytest.mark.parametrize(("check", "verified"), [(False, None), (True, True)])
def test_a_whole_bundle(publish: Publish, check: bool, verified: bool | None) -> None:
    (found,) = find(publish())

    inspection = inspect(found, check)

    assert inspection.error is None
    assert inspection.document()["verified"] is verified
    assert inspection.document()["folder"] == str(found.folder)


def test_a_changed_file_is_found_when_it_is_checked(publish: Publish) -> None:
    (found,) = find(publish())
    (found.folder / "model.onnx").write_bytes(b"other")

    assert inspect(found, check=False).error is None
    inspection = inspect(found, check=True)
    assert isinstance(inspection.error, WrongHash)
    assert inspection.document()["verified"] is False
    assert inspection.document()["error"] == str(inspection.error)


def test_samples_that_do_not_fit_are_found(publish: Publish) -> None:
    (found,) = find(publish())
    bundle = found.bundle._replace(inputs=(found.bundle.inputs[0]._replace(shape=(-1, 4)),))

    assert isinstance(inspect(found._replace(contract=bundle), check=True).error, InvalidSamples)


def test_evidence_that_cannot_be_read_is_an_error(publish: Publish) -> None:
    (found,) = find(publish())

    inspection = inspect(found._replace(contract=found.bundle._replace(evidence={})), check=False)

    assert isinstance(inspection.error, InvalidContract)
    assert inspection.error.field == "evidence.data"

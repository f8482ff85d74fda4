import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle.errors import NotWritten
from snooze.convert import convert
from snooze.convert.errors import Interrupted, NoWorkspace, Unfitted
from snooze.convert.workspace import workspace

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
CRASH = Interrupted("converting", "the process ended with SIGABRT")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without space."""

    def refuse(*_: object) -> None:
        raise NO_SPACE

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def test_is_a_temporary_folder_that_is_removed(folder: Path) -> None:
    with workspace() as work:
        assert work.parent == folder
        (work / "file").touch()

    assert not list(folder.iterdir())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [NO_SPACE, RuntimeError("Protobuf serialization failed."), CRASH])
def test_an_error_in_a_full_folder_is_the_lack_of_space(folder: Path, error: Exception) -> None:
    with pytest.raises(NoWorkspace) as caught, workspace():
        raise error

    assert (caught.value.folder, caught.value.problem) == (str(folder), "No space left on device")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("error", [NO_SPACE, RuntimeError("a mistake"), CRASH])
def test_an_error_in_a_folder_with_space_is_raised_as_it_is(folder: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, workspace():
        raise error

    assert caught.value is error
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [Unfitted("Pipeline", "fit"), NotWritten(Path("models"), "no permission")])
def test_an_error_of_ours_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, workspace():
        raise error

    assert caught.value is error


def test_a_missing_parent_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")

    with pytest.raises(NoWorkspace) as caught:
        workspace().__enter__()
    assert caught.value.folder == "/no/such/folder"


@pytest.mark.framework
@pytest.mark.usefixtures("full")
def test_a_conversion_without_space_names_the_temporary_folder_and_not_the_target(
    pipeline: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[[Path, bytes], int] = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name == "converted_0.onnx":
            raise NO_SPACE
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)

    with pytest.raises(NoWorkspace) as caught:
        convert(pipeline, name="tumour", target=folder / "models")
    assert caught.value.folder == str(folder)
    assert not list(folder.iterdir())

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle.errors import NotWritten
from snooze.convert import NoWorkspace, convert
from snooze.convert.errors import Interrupted
from snooze.convert.workspace import workspace

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room."""

    def refuse(*_: object) -> None:
        raise NO_SPACE

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def test_is_a_temporary_folder_that_is_removed(folder: Path) -> None:
    with workspace() as work:
        assert work.parent == folder
        (work / "file").touch()

    assert not list(folder.iterdir())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [NO_SPACE, RuntimeError("Protobuf serialization failed.")])
def test_what_goes_wrong_when_it_is_full_is_the_lack_of_room(folder: Path, error: Exception) -> None:
    with pytest.raises(NoWorkspace) as caught, workspace():
        raise error

    assert str(caught.value) == (
        f"cannot work in the temporary folder {folder}: No space left on device; make room, or set TMPDIR to another"
    )
    assert not list(folder.iterdir())


@pytest.mark.parametrize("error", [NO_SPACE, RuntimeError("a mistake")])
def test_what_goes_wrong_when_it_has_room_is_something_else(folder: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, workspace():
        raise error

    assert caught.value is error
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("error", [Interrupted("measuring", "killed"), NotWritten(Path("models"), "no permission")])
def test_what_is_explained_already_stays_so(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, workspace():
        raise error

    assert caught.value is error


def test_says_that_there_is_no_folder_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")

    with pytest.raises(NoWorkspace, match=r"^cannot work in the temporary folder /no/such/folder: No such file"):
        workspace().__enter__()


@pytest.mark.usefixtures("full")
def test_a_conversion_without_room_names_the_temporary_folder_and_not_the_target(
    pipeline: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[[Path, bytes], int] = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name == "converted.onnx":
            raise NO_SPACE
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)

    with pytest.raises(NoWorkspace, match=f"^cannot work in the temporary folder {folder}: "):
        convert(pipeline, name="tumour", target=folder / "models")
    assert not list(folder.iterdir())

from pathlib import Path

import pytest
from tests.service.conftest import publish, regressor

from snooze.service.errors import NothingToServe
from snooze.service.process.locate import locate, locate_aliases
from snooze.service.settings import Settings


def test_finds_the_bundles_of_several_paths(tmp_path: Path) -> None:
    first, second = publish(tmp_path / "a", "sum", regressor()), publish(tmp_path / "b", "other", regressor())
    found = locate([tmp_path / "a", second])

    assert [(one.name, one.version, one.folder) for one in found] == [("sum", 1, first), ("other", 1, second)]


@pytest.mark.parametrize("same", [False, True])
def test_the_same_model_at_two_paths_is_refused(tmp_path: Path, same: bool) -> None:
    first, second = publish(tmp_path / "a", "sum", regressor()), publish(tmp_path / "b", "sum", regressor())
    with pytest.raises(NothingToServe, match="are both model 'sum' version 1"):
        locate([first, first if same else second])


def test_no_path_is_refused() -> None:
    with pytest.raises(NothingToServe):
        locate([])


def test_finds_the_aliases_of_the_folders_that_are_served(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for folder in (first, second, third):
        folder.mkdir()
    (first / "aliases.json").touch()
    (third / "aliases.json").symlink_to("nowhere")  # to read it says what is wrong

    assert locate_aliases(Settings(models=(second,))) == []
    assert locate_aliases(Settings(models=(first, second, third))) == [first / "aliases.json", third / "aliases.json"]


def test_the_setting_replaces_the_files_of_the_repositories(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").touch()

    assert locate_aliases(Settings(models=(tmp_path,), aliases="other.json")) == [Path("other.json").resolve()]

from pathlib import Path

import pytest
from tests.service.conftest import publish, regressor

from snooze.service.errors import NothingToServe
from snooze.service.process.locate import locate


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

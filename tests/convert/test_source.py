import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LinearRegression

from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.frameworks.interface import Original
from snooze.convert.frameworks.registry import find, frameworks
from snooze.convert.source import Model, describe, read_model, recognize_file

pytestmark = [pytest.mark.framework, pytest.mark.process]
FORMATS = ", ".join(framework.formats for framework in frameworks())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.joblib"
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), path)
    return path


@pytest.fixture
def origin(original: Callable[..., Original]) -> Original:
    return original(framework="scikit-learn", framework_version="1.9")


def test_reads_a_trusted_file(saved: Path) -> None:
    model = read_model(saved, trust=True)

    assert (model.framework.name, model.file) == ("sklearn", saved)
    assert isinstance(model.model, LinearRegression)


def test_takes_an_object_as_it_is() -> None:
    model = LinearRegression()

    assert read_model(model) == Model(model, find("sklearn"), None)


def test_does_not_unpickle_what_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    joblib.dump(Trap(), path)

    with pytest.raises(Untrusted, match="add --trust"):
        read_model(path)
    assert not (tmp_path / "sprung").exists()


def test_recognizes_a_pickle_by_its_first_bytes(saved: Path) -> None:
    path = saved.rename(saved.with_name("model"))

    assert read_model(path, trust=True).framework.name == "sklearn"


def test_the_framework_given_wins_over_the_name(saved: Path) -> None:
    path = saved.rename(saved.with_suffix(".model"))

    assert isinstance(read_model(path, trust=True, framework="sklearn").model, LinearRegression)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAModel) as caught:
        read_model(tmp_path / "no.joblib")

    assert str(caught.value) == f"{tmp_path}/no.joblib: does not exist"


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(NotAModel) as caught:
        read_model(tmp_path)

    assert str(caught.value) == f"{tmp_path}: is a folder without a model; expected {FORMATS}"


def test_a_pipe_is_not_a_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.joblib")

    with pytest.raises(NotAModel, match="is not a regular file"):
        read_model(tmp_path / "pipe.joblib")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("model.joblib", b"", "is empty; save the model again"),
        ("notes.txt", b"hello", f"is not a model that can be read; expected {FORMATS}"),
        ("model.keras", b"hello", "is not a .keras or .h5 file, or is damaged"),
        ("model.joblib", b"\x80\x04garbage", "cannot be read: "),
    ],
)
def test_says_why_a_file_is_not_a_model(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(NotAModel) as caught:
        read_model(path, trust=True)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_another_archive_is_not_a_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("notes.txt", "hello")

    with pytest.raises(NotAModel, match="is not a model that can be read"):
        read_model(tmp_path / "archive")


def test_a_pickle_of_something_else_is_not_a_model(tmp_path: Path) -> None:
    joblib.dump({"weights": [1, 2]}, tmp_path / "weights.joblib")

    with pytest.raises(NotAModel) as caught:
        read_model(tmp_path / "weights.joblib", trust=True)

    assert caught.value.problem == "contains a builtins.dict, expected a model"


def test_the_content_wins_over_the_suffix(saved: Path) -> None:
    assert recognize_file(saved.rename(saved.with_suffix(".keras"))).name == "sklearn"


def test_another_object_is_not_a_model() -> None:
    with pytest.raises(NotAModel) as caught:
        read_model({"weights": [1, 2]})

    assert (caught.value.what, caught.value.problem) == ("builtins.dict", f"expected a file or a model ({FORMATS})")


def test_describes_file_hash_commit_and_command(saved: Path, origin: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], cwd=saved.parent, check=True)
    subprocess.run([*git, "commit", "-qm", "x", "--allow-empty"], cwd=saved.parent, check=True)
    monkeypatch.chdir(saved.parent)

    source = describe(read_model(saved, trust=True), origin, ["model.joblib", "--name", "a b"])

    assert (source.framework, source.framework_version, source.file) == ("scikit-learn", "1.9", "model.joblib")
    assert source.sha256 is not None
    assert len(source.sha256) == 64
    assert source.git is not None
    assert len(source.git) == 40
    assert source.command == "snooze convert model.joblib --name 'a b'"


def test_outside_of_git_there_is_no_commit(tmp_path: Path, origin: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    source = describe(Model(LinearRegression(), find("sklearn")), origin, None)

    assert (source.file, source.sha256, source.git, source.command) == (None, None, None, None)


def test_without_git_there_is_no_commit(origin: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert describe(Model(LinearRegression(), find("sklearn")), origin, None).git is None

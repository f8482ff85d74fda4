import os
import subprocess
import zipfile
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LinearRegression

from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.source import Opened, described, opened

READS = "what is read: .joblib, .pkl or .pickle with --trust (scikit-learn), .keras"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.joblib"
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), path)
    return path


def test_reads_a_trusted_file(saved: Path) -> None:
    model = opened(saved, trust=True)

    assert (model.framework, model.file) == ("sklearn", saved)
    assert isinstance(model.model, LinearRegression)


def test_tells_that_another_version_saved_it(saved: Path) -> None:
    model = joblib.load(saved)
    state = model.__getstate__

    class Older(LinearRegression):
        def __getstate__(self) -> dict[str, object]:
            return {**state(), "_sklearn_version": "1.2.0"}

    Older.__module__, Older.__qualname__ = "sklearn.linear_model._base", "LinearRegression"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.linear_model._base.LinearRegression", Older)
        joblib.dump(Older(), saved)

    (note,) = opened(saved, trust=True).notes

    assert note.startswith("saved by scikit-learn 1.2.0 and read by ")


def test_takes_an_object_as_it_is() -> None:
    model = LinearRegression()

    assert opened(model) == Opened(model, "sklearn", None)


def test_does_not_unpickle_what_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    joblib.dump(Trap(), path)

    with pytest.raises(Untrusted, match="add --trust"):
        opened(path)
    assert not (tmp_path / "sprung").exists()


def test_knows_a_pickle_by_its_first_bytes(saved: Path) -> None:
    path = saved.rename(saved.with_name("model"))

    assert opened(path, trust=True).framework == "sklearn"


def test_the_framework_given_wins_over_the_name(saved: Path) -> None:
    path = saved.rename(saved.with_suffix(".model"))

    assert isinstance(opened(path, trust=True, framework="sklearn").model, LinearRegression)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAModel) as caught:
        opened(tmp_path / "no.joblib")

    assert str(caught.value) == f"{tmp_path}/no.joblib: there is no such file"


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotAModel) as caught:
        opened(tmp_path)

    assert str(caught.value) == f"{tmp_path}: is a folder, expected a file; {READS}"


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.joblib")

    with pytest.raises(NotAModel, match="is not a regular file"):
        opened(tmp_path / "pipe.joblib")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("model.joblib", b"", "is empty; save the model again"),
        ("notes.txt", b"hello", f"is not a model that can be read; {READS}"),
        ("model.keras", b"hello", "is not a .keras file, or a damaged one"),
        ("model.joblib", b"\x80\x04garbage", "cannot be read: "),
    ],
)
def test_says_why_a_file_is_no_model(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(NotAModel) as caught:
        opened(path, trust=True)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_an_archive_of_something_else_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("notes.txt", "hello")

    with pytest.raises(NotAModel, match="is not a model that can be read"):
        opened(tmp_path / "archive")


def test_a_pickle_of_something_else_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "dict.joblib"
    joblib.dump({"weights": [1, 2]}, path)

    with pytest.raises(NotAModel) as caught:
        opened(path, trust=True)

    assert str(caught.value) == f"{path}: holds a dict, not a scikit-learn estimator"


def test_an_object_of_something_else_is_no_model() -> None:
    with pytest.raises(NotAModel) as caught:
        opened({"weights": [1, 2]})

    assert str(caught.value) == "builtins.dict: is neither a scikit-learn estimator nor a Keras model"


def test_remembers_file_hash_commit_and_command(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], cwd=saved.parent, check=True)
    subprocess.run([*git, "commit", "-qm", "x", "--allow-empty"], cwd=saved.parent, check=True)
    monkeypatch.chdir(saved.parent)

    source = described(opened(saved, trust=True), "1.9", "scikit-learn", ["model.joblib", "--name", "a b"])

    assert (source.framework, source.framework_version, source.file) == ("scikit-learn", "1.9", "model.joblib")
    assert source.sha256 is not None
    assert len(source.sha256) == 64
    assert source.git is not None
    assert len(source.git) == 40
    assert source.command == "snooze convert model.joblib --name 'a b'"


def test_outside_of_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    source = described(Opened(LinearRegression(), "sklearn"), "1.9", "scikit-learn", None)

    assert (source.file, source.sha256, source.git, source.command) == (None, None, None, None)


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert described(Opened(LinearRegression(), "sklearn"), "1.9", "scikit-learn", None).git is None

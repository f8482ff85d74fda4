import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from snooze.bundle.codec import encode
from snooze.bundle.contract import Bundle
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidContract, NotWritten
from snooze.bundle.names import MODEL_NAME
from snooze.bundle.store import find, read, verify

Publish = Callable[..., Path]
WRITER = Path(__file__).with_name("draft_process.py")


@contextmanager
def writer(repository: Path, text: str, how: str = "at once", times: int = 1) -> Iterator[subprocess.Popen[str]]:
    """Start a process that writes so many versions, and wait until it has begun."""
    command = [sys.executable, str(WRITER), str(repository), how, str(times), text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def fill(draft: Draft) -> None:
    for name in ("model.onnx", "samples.npz"):
        (draft.folder / name).write_bytes(b"x")


def write(repository: Path, bundle: Bundle, make: Callable[[Path], object] = lambda folder: None) -> Path:
    """Publish a bundle of two files, and of what `make` does to the draft's folder."""
    with Draft(repository, "tumour") as draft:
        fill(draft)
        make(draft.folder)
        return draft.publish(bundle)


def fail(error: type[BaseException]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / "inner").mkdir()
        raise error

    return make


def fill_disk(folder: Path) -> None:
    try:
        with (folder / "report.html").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1024)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_counts_versions(publish: Publish) -> None:
    folders = [publish() for _ in range(3)]

    assert [folder.name for folder in folders] == ["1", "2", "3"]
    assert [read(folder).version for folder in folders] == [1, 2, 3]


def test_never_uses_a_number_below_one_that_is_there(publish: Publish, tmp_path: Path) -> None:
    """A higher folder counts even where it is no bundle, and numbers no contract may have do not."""
    (tmp_path / "models" / "tumour" / "7").mkdir(parents=True)
    (tmp_path / "models" / "tumour" / "99999999999999999999").mkdir()

    assert publish().name == "8"


def test_leaves_an_existing_version_alone(publish: Publish) -> None:
    first = publish()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.iterdir()}

    publish(task=None)

    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.iterdir()} == before


def test_fills_in_name_version_and_hashes(tmp_path: Path, contract: Bundle) -> None:
    with Draft(tmp_path, "other") as draft:
        fill(draft)
        folder = draft.publish(contract._replace(version=99, files={"gone": "sha256:0"}))

    bundle = read(folder)
    assert (bundle.name, bundle.version, sorted(bundle.files)) == ("other", 1, ["model.onnx", "samples.npz"])


def test_is_not_seen_before_it_is_published(tmp_path: Path, publish: Publish, contract: Bundle) -> None:
    publish()
    with Draft(tmp_path / "models", "tumour") as draft:
        fill(draft)
        (draft.folder / "bundle.json").write_text("{")
        assert len(find(tmp_path / "models")) == 1
        (draft.folder / "bundle.json").unlink()
        draft.publish(contract)
        assert len(find(tmp_path / "models")) == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_leaves_nothing_behind_when_it_is_given_up(
    tmp_path: Path, contract: Bundle, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        write(tmp_path / "new" / "models", contract, fail(error))

    assert names(tmp_path) == []


def test_leaves_nothing_behind_when_nothing_was_published(tmp_path: Path) -> None:
    with Draft(tmp_path / "models", "tumour") as draft:
        fill(draft)

    assert names(tmp_path) == []


def test_leaves_what_was_there_before(tmp_path: Path, publish: Publish) -> None:
    publish()
    with Draft(tmp_path / "models", "tumour") as draft:
        fill(draft)

    assert names(tmp_path / "models" / "tumour") == ["1"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "x-", "x" * 101, "modèle"])
def test_refuses_a_name_that_is_no_model(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotWritten) as caught:
        Draft(tmp_path, name)

    assert caught.value.problem == f"expected a model name of {MODEL_NAME.expected}, got {name!r}"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: (path / "inner").mkdir(), "a bundle contains regular files only, and 'inner' is not one"),
        (
            lambda path: (path / "a").symlink_to("b"),
            "a bundle contains regular files only, and 'a' is not one",
        ),
        (lambda path: (path / ".hidden").write_text("x"), "a bundle cannot contain a file named '.hidden'"),
        (lambda path: (path / "a b").write_text("x"), "a bundle cannot contain a file named 'a b'"),
        (lambda path: (path / "bundle.json").write_text("x"), "a bundle cannot contain a file named 'bundle.json'"),
    ],
)
def test_refuses_what_a_bundle_cannot_hold(
    tmp_path: Path, contract: Bundle, make: Callable[[Path], object], problem: str
) -> None:
    with pytest.raises(NotWritten) as caught:
        write(tmp_path / "models", contract, make)

    assert (caught.value.path, caught.value.problem) == (tmp_path / "models" / "tumour", problem)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"inputs": ()}, "bundle.json: inputs: expected at least 1 items"),
        ({"labels": ("a", "\ud800")}, r"bundle.json: labels[1]: '\ud800' (str) has no JSON form"),
        ({"evidence": {"worst": float("nan")}}, "bundle.json: evidence.worst: nan"),
        ({"evidence": {}}, "bundle.json: evidence.data: is missing"),
        ({"profile": {"cpu": 3}}, "bundle.json: profile.cpu: expected a string, got 3"),
    ],
)
def test_publishes_nothing_that_could_not_be_read_again(
    tmp_path: Path, contract: Bundle, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidContract) as caught:
        write(tmp_path / "models", contract._replace(**changes))  # type: ignore[arg-type]

    assert str(caught.value).startswith(problem)
    assert names(tmp_path) == []


def test_publishes_no_bundle_without_its_files(tmp_path: Path, contract: Bundle) -> None:
    with pytest.raises(InvalidContract, match=r"files\.samples\.npz: is missing"):
        write(tmp_path, contract, lambda folder: (folder / "samples.npz").unlink())


@pytest.mark.process
def test_concurrent_writers_lose_nothing(tmp_path: Path, contract: Bundle) -> None:
    """Four processes, ten versions each: all numbers distinct, all bundles whole."""
    commands = [[sys.executable, str(WRITER), str(tmp_path), "at once", "10", encode(contract)]] * 4
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    written = [line for process in processes for line in process.communicate()[0].splitlines() if line != "ready"]

    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(int(Path(line).name) for line in written) == list(range(1, 41))
    assert [found.version for found in find(tmp_path)] == list(range(1, 41))
    for found in find(tmp_path):
        verify(found.folder, found.bundle)
    assert len(names(tmp_path / "tumour")) == 40


def test_takes_the_next_number_where_another_writer_was_faster(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish()
    before = (first / "bundle.json").read_bytes()
    monkeypatch.setattr(Draft, "_highest", lambda draft: 0)  # as it was when this writer looked

    assert publish().name == "2"
    assert (first / "bundle.json").read_bytes() == before


@pytest.mark.parametrize(("hours", "kept"), [(23, True), (25, False)])
def test_removes_drafts_in_which_nothing_changed_for_a_day(
    tmp_path: Path, contract: Bundle, hours: float, kept: bool
) -> None:
    abandoned = tmp_path / "tumour" / ".draft-1234"
    abandoned.mkdir(parents=True)
    (abandoned / "model.onnx").write_bytes(b"half")
    long_ago = time.time() - hours * 3600
    for path in (abandoned / "model.onnx", abandoned):
        os.utime(path, (long_ago, long_ago))

    write(tmp_path, contract)

    assert abandoned.exists() is kept


def test_a_draft_is_kept_while_a_file_in_it_changes_or_it_is_touched(tmp_path: Path, contract: Bundle) -> None:
    long_ago = time.time() - 30 * 3600
    with Draft(tmp_path, "tumour") as touched, Draft(tmp_path, "tumour") as filled:
        fill(filled)
        for draft in (touched, filled):
            os.utime(draft.folder, (long_ago, long_ago))
        touched.touch()

        write(tmp_path, contract)

        assert touched.folder.exists()
        assert filled.folder.exists()


def test_leaves_alone_what_only_looks_like_a_draft(tmp_path: Path, contract: Bundle) -> None:
    (tmp_path / "tumour").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "tumour" / ".draft-file").write_text("x")
    (tmp_path / "tumour" / ".draft-link").symlink_to(tmp_path / "precious")

    write(tmp_path, contract)

    assert names(tmp_path / "tumour") == [".draft-file", ".draft-link", "1"]
    assert (tmp_path / "precious").exists()


class Reader(threading.Thread):
    """Read and verify everything that can be seen, all the time."""

    def __init__(self, repository: Path) -> None:
        super().__init__()
        self.repository = repository
        self.stop = threading.Event()
        self.looks = 0
        self.error: Exception | None = None

    def run(self) -> None:
        checked: set[Path] = set()
        while not self.stop.is_set() and self.error is None:
            try:
                for found in find(self.repository):
                    if found.folder not in checked:
                        verify(found.folder, found.bundle)
                        checked.add(found.folder)
            except Exception as error:
                self.error = error
            self.looks += 1


@pytest.mark.process
def test_killed_at_any_moment_no_half_bundle_is_seen(tmp_path: Path, contract: Bundle) -> None:
    """Writers are killed (SIGKILL) in the middle of a bundle, and at some later moment, while somebody reads."""
    write(tmp_path, contract)
    reader = Reader(tmp_path)
    reader.start()
    try:
        for i in range(8):
            with writer(tmp_path, encode(contract), how="half" if i % 2 else "at once", times=1000) as process:
                assert process.stdout is not None
                for _ in range(i + 1):
                    process.stdout.readline()
                process.kill()
                process.wait()
    finally:
        reader.stop.set()
        reader.join()

    assert reader.error is None
    assert reader.looks > 0
    assert list((tmp_path / "tumour").glob(".draft-*")), "no writer was killed while it wrote"


@pytest.mark.process
def test_ctrl_c_leaves_nothing_half(tmp_path: Path, contract: Bundle) -> None:
    """Writers are interrupted (SIGINT) in the middle of a bundle, and at some later moment."""
    for i in range(6):
        with writer(tmp_path / "models", encode(contract), how="half" if i % 2 else "at once", times=1000) as process:
            assert process.stdout is not None
            for _ in range(i + 1):
                process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate()
        assert "KeyboardInterrupt" in complaint
        assert process.returncode != 0
        assert not list(tmp_path.glob("models/tumour/.draft-*")), complaint
    for found in find(tmp_path / "models"):
        verify(found.folder, found.bundle)


@pytest.mark.process
def test_says_when_files_may_not_grow(tmp_path: Path, contract: Bundle) -> None:
    with writer(tmp_path / "models", encode(contract), how="limited") as process:
        _, complaint = process.communicate()

    line = complaint.strip().splitlines()[-1]
    assert line.endswith(f"NotWritten: cannot write a bundle to {tmp_path}/models/tumour: File too large")
    assert names(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if shutil.which("mount") is None:
        pytest.skip("no small disk can be mounted here: there is no command for it")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.process
def test_says_when_the_disk_is_full(small_disk: Path, contract: Bundle) -> None:
    with pytest.raises(NotWritten) as caught, Draft(small_disk / "models", "tumour") as draft:
        (draft.folder / "model.onnx").write_bytes(b"x" * 100_000)

    assert caught.value.problem == "No space left on device"
    assert names(small_disk) == []


@pytest.mark.process
def test_says_when_the_disk_is_full_at_the_end(small_disk: Path, contract: Bundle) -> None:
    write(small_disk / "models", contract)
    with pytest.raises(NotWritten, match="No space left on device"):
        write(small_disk / "models", contract, fill_disk)

    (found,) = find(small_disk / "models")
    verify(found.folder, found.bundle)
    assert names(small_disk / "models" / "tumour") == ["1"]


def test_says_when_the_repository_is_read_only(
    shared_folder: Path, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    shared_folder.chmod(0o555)

    for repository in (shared_folder, shared_folder / "models"):
        with unprivileged(), pytest.raises(NotWritten) as caught, Draft(repository, "tumour"):
            pass
        assert caught.value.problem.startswith("Permission denied")
    assert names(shared_folder) == []


def test_says_when_a_file_stands_where_the_folder_should(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("x")

    with pytest.raises(NotWritten, match="/models/tumour: Not a directory"), Draft(tmp_path / "models", "tumour"):
        pass


def test_keeps_other_errors_of_the_system_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Draft(tmp_path, "tumour") as draft:
        (draft.folder / "gone").read_bytes()


def test_says_what_cannot_be_made_where_nobody_may_make_a_folder() -> None:
    with pytest.raises(NotWritten, match=r"No such file or directory \(/proc/nowhere\)"):
        Draft(Path("/proc/nowhere"), "tumour").__enter__()

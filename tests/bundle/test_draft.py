import errno
import fcntl
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from snooze.bundle.contract import Bundle, Evidence
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidContract, NotWritten
from snooze.bundle.store import find, read, verify

Publish = Callable[..., Path]
WRITER = Path(__file__).with_name("draft_process.py")


@contextmanager
def writer(repository: Path, how: str = "at once", times: int = 1) -> Iterator[subprocess.Popen[str]]:
    """Start a process that writes so many versions, and wait until it has begun."""
    command = [sys.executable, str(WRITER), str(repository), how, str(times)]
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
        folder = draft.publish(replace(contract, version=99, files={"gone": "sha256:0"}))

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

    assert str(caught.value) == (
        f"cannot write a bundle to {tmp_path}: a model's name is 1 to 100 of A-Z a-z 0-9 . _ -, "
        f"with a letter or digit at both ends; got {name!r}"
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: (path / "inner").mkdir(), "a bundle holds plain files only, and 'inner' is none"),
        (lambda path: (path / "link").symlink_to("model.onnx"), "a bundle holds plain files only, and 'link' is none"),
        (lambda path: (path / ".hidden").write_text("x"), "a bundle holds no file named '.hidden'"),
        (lambda path: (path / "a b").write_text("x"), "a bundle holds no file named 'a b'"),
        (lambda path: (path / "bundle.json").write_text("x"), "a bundle holds no file named 'bundle.json'"),
    ],
)
def test_refuses_what_a_bundle_cannot_hold(
    tmp_path: Path, contract: Bundle, make: Callable[[Path], object], problem: str
) -> None:
    with pytest.raises(NotWritten) as caught:
        write(tmp_path / "models", contract, make)

    assert str(caught.value) == f"cannot write a bundle to {tmp_path}/models/tumour: {problem}"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"inputs": ()}, "bundle.json: inputs: is empty"),
        ({"labels": ("a", "\ud800")}, r"bundle.json: labels[1]: '\ud800' (str) has no JSON form"),
        ({"evidence": Evidence("given", parity={"worst": float("nan")})}, "bundle.json: evidence.parity.worst: nan"),
    ],
)
def test_publishes_nothing_that_could_not_be_read_again(
    tmp_path: Path, contract: Bundle, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidContract) as caught:
        write(tmp_path / "models", replace(contract, **changes))  # type: ignore[arg-type]

    assert str(caught.value).startswith(problem)
    assert names(tmp_path) == []


def test_publishes_no_bundle_without_its_files(tmp_path: Path, contract: Bundle) -> None:
    with pytest.raises(InvalidContract, match=r"files\.samples\.npz: is missing"):
        write(tmp_path, contract, lambda folder: (folder / "samples.npz").unlink())


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes, ten versions each: all numbers distinct, all bundles whole."""
    commands = [[sys.executable, str(WRITER), str(tmp_path), "at once", "10"]] * 4
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    written = [line for process in processes for line in process.communicate()[0].splitlines() if line != "ready"]

    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(int(Path(line).name) for line in written) == list(range(1, 41))
    assert [found.version for found in find(tmp_path)] == list(range(1, 41))
    for found in find(tmp_path):
        bundle = read(found.folder)
        assert bundle.version == found.version
        verify(found.folder, bundle)
    assert len(names(tmp_path / "tumour")) == 40


def test_takes_the_next_number_where_another_writer_was_faster(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish()
    before = (first / "bundle.json").read_bytes()
    monkeypatch.setattr(Draft, "_highest", lambda draft: 0)  # as it was when this writer looked

    assert publish().name == "2"
    assert (first / "bundle.json").read_bytes() == before


def test_begins_again_where_its_draft_was_taken_for_an_orphan(
    tmp_path: Path, contract: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    taken: list[Path] = []

    def late(handle: int, how: int) -> None:
        if not taken:
            taken.extend((tmp_path / "tumour").iterdir())
            taken[0].rmdir()
        lock(handle, how)

    monkeypatch.setattr("fcntl.flock", late)

    assert write(tmp_path, contract).name == "1"
    assert len(taken) == 1


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
                        verify(found.folder, read(found.folder))
                        checked.add(found.folder)
            except Exception as error:
                self.error = error
            self.looks += 1


def test_killed_at_any_moment_no_half_bundle_is_seen(tmp_path: Path, contract: Bundle) -> None:
    """Writers are killed (SIGKILL) after 0 to 30 ms while somebody reads; the next writer clears up."""
    write(tmp_path, contract)
    reader = Reader(tmp_path)
    reader.start()
    orphans = 0
    try:
        for i in range(15):
            with writer(tmp_path, times=1000) as process:
                time.sleep(0.002 * i)
                process.kill()
                process.wait()
            orphans += len(list((tmp_path / "tumour").glob(".draft-*")))
    finally:
        reader.stop.set()
        reader.join()

    assert reader.error is None
    assert reader.looks > 15
    assert orphans > 0, "no writer was hit while it wrote: the test shows nothing"
    with Draft(tmp_path, "tumour") as draft:
        assert [path.name for path in (tmp_path / "tumour").glob(".draft-*")] == [draft.folder.name]


def test_clears_up_after_a_writer_that_was_killed_half_way(tmp_path: Path) -> None:
    with writer(tmp_path, how="waiting") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        (living,) = (tmp_path / "tumour").iterdir()
        with Draft(tmp_path, "tumour"):
            assert living.exists(), "the draft of a living writer is left alone"
        process.kill()
        process.wait()
    assert living.exists()

    with Draft(tmp_path, "tumour"):
        assert not living.exists()


def test_ctrl_c_at_any_moment_leaves_nothing_half(tmp_path: Path) -> None:
    for i in range(10):
        with writer(tmp_path / "models", times=1000) as process:
            time.sleep(0.003 * i)
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate()
        assert "KeyboardInterrupt" in complaint
        assert process.returncode != 0
        assert not list(tmp_path.glob("models/tumour/.draft-*")), complaint
    for found in find(tmp_path / "models"):
        verify(found.folder, read(found.folder))


def test_says_when_files_may_not_grow(tmp_path: Path) -> None:
    with writer(tmp_path / "models", how="limited") as process:
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


def test_says_when_the_disk_is_full(small_disk: Path, contract: Bundle) -> None:
    with pytest.raises(NotWritten) as caught, Draft(small_disk / "models", "tumour") as draft:
        (draft.folder / "model.onnx").write_bytes(b"x" * 100_000)

    assert str(caught.value) == f"cannot write a bundle to {small_disk}/models/tumour: No space left on device"
    assert names(small_disk) == []


def test_says_when_the_disk_is_full_at_the_end(small_disk: Path, contract: Bundle) -> None:
    write(small_disk / "models", contract)
    with pytest.raises(NotWritten, match="No space left on device"):
        write(small_disk / "models", contract, fill_disk)

    (found,) = find(small_disk / "models")
    verify(found.folder, read(found.folder))
    assert names(small_disk / "models" / "tumour") == ["1"]


def test_says_when_the_repository_is_read_only(
    shared_folder: Path, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    shared_folder.chmod(0o555)

    for repository in (shared_folder, shared_folder / "models"):
        with unprivileged(), pytest.raises(NotWritten) as caught, Draft(repository, "tumour"):
            pass
        assert str(caught.value).startswith(f"cannot write a bundle to {repository}/tumour: Permission denied")
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

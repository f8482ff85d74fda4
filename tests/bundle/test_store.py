import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from snooze.bundle.codec import encode
from snooze.bundle.contract import Bundle
from snooze.bundle.draft import Draft
from snooze.bundle.errors import (
    BundleError,
    InvalidContract,
    MissingFile,
    NoSuchModel,
    NotABundle,
    OutsideFolder,
    UnknownSchema,
    WrongHash,
)
from snooze.bundle.samples import read_samples
from snooze.bundle.store import MAX_SMALL_FILE, Found, find, has_large_files, latest, read, sha256, verify

Publish = Callable[..., Path]
FILES = ["model.onnx", "report.html", "samples.npz"]


def test_reads_what_was_published(publish: Publish, contract: Bundle) -> None:
    folder = publish()

    bundle = read(folder)

    files = {name: sha256(folder / name) for name in FILES}
    assert bundle == contract._replace(files=files)
    verify(folder, bundle)
    assert read_samples(folder, bundle)[0].inputs["features"].shape == (4, 3)


@pytest.mark.parametrize("size", [0, MAX_SMALL_FILE, MAX_SMALL_FILE + 1])
@pytest.mark.parametrize("missing", [(), ("_sha2", "_sha256")])
def test_hashes_small_and_large_files_alike(
    tmp_path: Path, size: int, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"x" * size
    (tmp_path / "x").write_bytes(content)
    for name in missing:  # as where Python is built without them
        monkeypatch.setitem(sys.modules, name, None)

    assert sha256(tmp_path / "x") == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_says_which_bundles_have_large_files(publish: Publish) -> None:
    folder = publish()

    assert not has_large_files(find(folder)[0])
    for name in ("report.html", "model.onnx"):  # a server does not need the report
        assert not has_large_files(find(folder)[0])
        with (folder / name).open("ab") as file:
            file.truncate(MAX_SMALL_FILE + 1)
    assert has_large_files(find(folder)[0])
    (folder / "bundle.json").write_text("{")
    assert not has_large_files(find(folder)[0])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_names_the_file_of_which_one_bit_was_flipped(publish: Publish, name: str, place: int) -> None:
    folder = publish()
    content = bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(content)
    bundle = read(folder)

    with pytest.raises(WrongHash) as caught:
        verify(folder, bundle)

    found = sha256(folder / name)
    assert (caught.value.expected, caught.value.found) == (bundle.files[name], found)


def test_hashes_as_other_programs_do(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    assert sha256(tmp_path / "x") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", FILES)
def test_names_the_file_that_is_missing(publish: Publish, name: str) -> None:
    folder = publish()
    bundle = read(folder)
    (folder / name).unlink()

    for check in (lambda: read(folder), lambda: verify(folder, bundle)):
        with pytest.raises(MissingFile) as caught:
            check()
        assert (caught.value.path, caught.value.problem) == (folder / name, "does not exist")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_names_what_is_no_plain_file(publish: Publish, make: Callable[[Path], None]) -> None:
    folder = publish()
    (folder / "model.onnx").unlink()
    make(folder / "model.onnx")

    with pytest.raises(MissingFile, match=r"model\.onnx is listed in bundle\.json but is not a regular file; convert"):
        read(folder)


def test_follows_links_that_stay_inside(publish: Publish) -> None:
    """As a volume of Kubernetes does it: everything is a link to a link to a folder inside."""
    folder = publish()
    (folder / "..2026").mkdir()
    (folder / "..data").symlink_to("..2026")
    for name in (*FILES, "bundle.json"):
        (folder / name).rename(folder / "..2026" / name)
        (folder / name).symlink_to(Path("..data") / name)

    verify(folder, read(folder))


def test_follows_a_link_to_the_whole_bundle(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(publish())

    verify(tmp_path / "link", read(tmp_path / "link"))


@pytest.mark.parametrize("name", [*FILES, "bundle.json"])
@pytest.mark.parametrize("target", ["/etc/hostname", "../2", "../../../elsewhere", "../../tumour-2/x"])
def test_follows_no_link_out_of_the_folder(publish: Publish, name: str, target: str) -> None:
    folder = publish()
    (folder / name).unlink()
    (folder / name).symlink_to(target)

    with pytest.raises(OutsideFolder) as caught:
        read(folder)

    assert (caught.value.path, caught.value.folder) == (folder / name, folder)


def test_names_a_link_that_ends_nowhere(publish: Publish) -> None:
    folder = publish()
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("gone")

    with pytest.raises(MissingFile, match=r"model\.onnx is listed in bundle\.json but does not exist"):
        read(folder)


def test_names_a_link_to_itself(publish: Publish) -> None:
    folder = publish()
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("model.onnx")

    with pytest.raises(MissingFile, match=r"model\.onnx is listed in bundle\.json but cannot be read: Too many levels"):
        read(folder)


def test_says_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()

    for name, problem in [
        ("gone", "the folder does not exist"),
        ("file", "the folder does not exist"),
        ("folder", "it has no bundle.json"),
    ]:
        with pytest.raises(NotABundle) as caught:
            read(tmp_path / name)
        assert (caught.value.path, caught.value.problem) == (tmp_path / name, problem)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_refuses_a_contract_that_is_no_plain_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "bundle.json")

    with pytest.raises(InvalidContract, match=r"bundle\.json: the file: is not a regular file"):
        read(tmp_path)


def test_refuses_a_huge_contract_without_reading_it_whole(tmp_path: Path) -> None:
    with (tmp_path / "bundle.json").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(InvalidContract, match=r"bundle\.json: the file: is larger than 16777216 bytes"):
        read(tmp_path)


def test_names_the_contract_that_is_wrong(publish: Publish) -> None:
    folder = publish()
    document = json.loads((folder / "bundle.json").read_text())

    (folder / "bundle.json").write_text(json.dumps(document | {"colour": "red"}))
    with pytest.raises(InvalidContract) as invalid:
        read(folder)
    assert str(invalid.value) == f"{folder}/bundle.json: colour: is not a key of the contract; convert the model again"

    (folder / "bundle.json").write_text(json.dumps(document | {"schema": 7}))
    with pytest.raises(
        UnknownSchema, match=r"/tumour/1/bundle\.json: schema version 7 is not supported, this version of Snooze reads"
    ):
        read(folder)


def test_says_what_may_not_be_read(
    shared_folder: Path, contract: Bundle, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    for name in ("model.onnx", "samples.npz"):
        (shared_folder / name).write_bytes(b"x")
    files = {name: sha256(shared_folder / name) for name in ("model.onnx", "samples.npz")}
    (shared_folder / "bundle.json").write_text(encode(contract._replace(files=files)))
    (shared_folder / "model.onnx").chmod(0)

    with unprivileged(), pytest.raises(MissingFile, match=r"model\.onnx .* cannot be read: Permission denied"):
        verify(shared_folder, read(shared_folder))
    (shared_folder / "bundle.json").chmod(0)
    with unprivileged(), pytest.raises(NotABundle, match=r"bundle\.json cannot be read: Permission denied"):
        read(shared_folder)
    shared_folder.chmod(0)
    for look in (find, read):
        with unprivileged(), pytest.raises(NotABundle, match="cannot be read: Permission denied"):
            look(shared_folder)


def test_finds_the_bundles_of_a_repository_in_order(publish: Publish, tmp_path: Path) -> None:
    for name in ("digits", "tumour", "digits"):
        publish(name)
    repository = tmp_path / "models"
    (repository / "README.md").write_text("not a model")
    (repository / "empty").mkdir()
    (repository / ".hidden").mkdir()
    for name in ("profiles", "0", "03", "-1", "x1", "٣", "4"):  # none of these is a version that holds a bundle
        (repository / "digits" / name).mkdir()

    assert [found[:3] for found in find(repository)] == [
        ("digits", 1, repository / "digits" / "1"),
        ("digits", 2, repository / "digits" / "2"),
        ("tumour", 1, repository / "tumour" / "1"),
    ]
    assert [found.version for found in find(repository / "digits")] == [1, 2]
    (found,) = find(repository / "tumour" / "1")
    assert found == Found("tumour", 1, repository / "tumour" / "1", read(repository / "tumour" / "1"))


def test_orders_versions_as_numbers(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "models" / "tumour" / "8").mkdir(parents=True)
    publish()
    publish()

    assert [found.version for found in find(tmp_path / "models")] == [9, 10]


def test_finds_the_model_in_the_working_directory(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish()
    monkeypatch.chdir(tmp_path / "models" / "tumour")

    for path, folder in ((".", "1"), ("1", "1"), ("..", "../tumour/1")):
        assert [found[:3] for found in find(Path(path))] == [("tumour", 1, Path(folder))]


@pytest.mark.parametrize("moved", ["models/renamed", "mounted", "my models"])
def test_a_model_is_called_as_its_contract_says(publish: Publish, tmp_path: Path, moved: str) -> None:
    """A folder may be copied into an image or mounted anywhere."""
    publish().parent.rename(tmp_path / moved)

    for path in (tmp_path / moved, tmp_path / moved / "1"):
        assert [found[:2] for found in find(path)] == [("tumour", 1)]


def test_a_bundle_that_cannot_be_read_is_called_as_its_folders(publish: Publish, tmp_path: Path) -> None:
    publish()
    (publish("digits") / "bundle.json").write_text("{")

    damaged, whole = find(tmp_path / "models")

    assert damaged[:2] == ("digits", 1)
    assert isinstance(damaged.error, InvalidContract | UnknownSchema)
    with pytest.raises(BundleError):
        assert damaged.bundle
    assert whole.error is None
    with pytest.raises(BundleError):
        latest(tmp_path / "models" / "digits")


def test_says_why_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    for path, problem in [
        (tmp_path, "it contains no model; 'snooze convert ... --target' writes one"),
        (tmp_path / "file", "it is not a folder"),
        (tmp_path / "gone", "the folder does not exist"),
    ]:
        with pytest.raises(NotABundle) as caught:
            find(path)
        assert (caught.value.path, caught.value.problem) == (path, problem)


def test_takes_the_highest_version_or_the_one_asked_for(publish: Publish, tmp_path: Path) -> None:
    for _ in range(3):
        publish()

    assert latest(tmp_path / "models").version == 3
    assert latest(tmp_path / "models" / "tumour", 2).version == 2
    with pytest.raises(NoSuchModel) as caught:
        latest(tmp_path / "models", 4)
    assert (caught.value.wanted, caught.value.known) == ("version 4 of 'tumour'", ["1", "2", "3"])


def test_does_not_choose_among_models(publish: Publish, tmp_path: Path) -> None:
    publish("tumour")
    publish("digits")

    with pytest.raises(NoSuchModel) as caught:
        latest(tmp_path / "models")

    assert caught.value.known == [str(tmp_path / "models" / name) for name in ("digits", "tumour")]


def test_what_is_published_may_be_read_by_the_user_of_the_image(
    shared_folder: Path, contract: Bundle, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    old = os.umask(0o077)
    try:
        with Draft(shared_folder / "new" / "models", "tumour") as draft:
            for name in ("model.onnx", "samples.npz"):
                (draft.folder / name).write_bytes(b"x")
            folder = draft.publish(contract)
    finally:
        os.umask(old)

    with unprivileged():
        (found,) = find(shared_folder / "new" / "models")
        verify(folder, found.bundle)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {
        "1": "0o755",
        "bundle.json": "0o644",
        "model.onnx": "0o644",
        "samples.npz": "0o644",
    }


def test_every_flipped_byte_of_a_contract_is_refused_or_harmless(publish: Publish) -> None:
    """`bundle.json` has no hash of its own: whatever is flipped in it, nothing but a bundle or an error comes out."""
    folder = publish()
    whole = (folder / "bundle.json").read_bytes()
    for place in range(0, len(whole), 7):
        (folder / "bundle.json").write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
        try:
            verify(folder, read(folder))
        except BundleError:
            continue

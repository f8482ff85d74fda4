import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
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
from snooze.bundle.store import Found, find, latest, read, sha256, verify

Publish = Callable[..., Path]
FILES = ["model.onnx", "report.html", "samples.npz"]


def test_reads_what_was_published(publish: Publish, contract: Bundle) -> None:
    folder = publish()

    bundle = read(folder)

    files = {name: sha256(folder / name) for name in FILES}
    assert bundle == replace(contract, files=files)
    verify(folder, bundle)
    assert read_samples(folder, bundle).inputs["features"].shape == (4, 3)


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
    assert str(caught.value) == (
        f"{folder}/{name} was changed after the bundle was written: expected {bundle.files[name]}, found {found}; "
        "convert the model again"
    )
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
        ("gone", "there is no such folder"),
        ("file", "there is no such folder"),
        ("folder", "there is no bundle.json in it"),
    ]:
        with pytest.raises(NotABundle) as caught:
            read(tmp_path / name)
        assert str(caught.value) == f"{tmp_path}/{name} is not a bundle: {problem}"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_refuses_a_contract_that_is_no_plain_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "bundle.json")

    with pytest.raises(InvalidContract, match=r"bundle\.json: the file: is not a plain file"):
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
    (shared_folder / "bundle.json").write_text(encode(replace(contract, files=files)))
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

    assert find(repository) == [
        Found("digits", 1, repository / "digits" / "1"),
        Found("digits", 2, repository / "digits" / "2"),
        Found("tumour", 1, repository / "tumour" / "1"),
    ]
    assert [found.version for found in find(repository / "digits")] == [1, 2]
    assert find(repository / "tumour" / "1") == [Found("tumour", 1, repository / "tumour" / "1")]


def test_orders_versions_as_numbers(publish: Publish, tmp_path: Path) -> None:
    folder = publish()
    folder.rename(folder.parent / "9")
    publish()

    assert [found.version for found in find(tmp_path / "models")] == [9, 10]


def test_finds_the_model_in_the_folder_it_stands_in(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish()
    monkeypatch.chdir(tmp_path / "models" / "tumour")

    assert find(Path(".")) == [Found("tumour", 1, Path("1"))]
    assert find(Path("1")) == [Found("tumour", 1, Path("1"))]
    assert find(Path("..")) == [Found("tumour", 1, Path("../tumour/1"))]


def test_calls_a_model_what_its_folder_is_called(publish: Publish, tmp_path: Path) -> None:
    """A version may be copied below another name: the folders decide."""
    publish().parent.rename(tmp_path / "models" / "renamed")

    assert [found.name for found in find(tmp_path / "models")] == ["renamed"]


def test_says_why_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    for path, problem in [
        (tmp_path, "it holds no model; 'snooze convert ... --target' puts one there"),
        (tmp_path / "file", "it is not a folder"),
        (tmp_path / "gone", "there is no such folder"),
    ]:
        with pytest.raises(NotABundle) as caught:
            find(path)
        assert str(caught.value) == f"{path} is not a bundle: {problem}"


def test_takes_the_highest_version_or_the_one_asked_for(publish: Publish, tmp_path: Path) -> None:
    for _ in range(3):
        publish()

    assert latest(tmp_path / "models").version == 3
    assert latest(tmp_path / "models" / "tumour", 2).version == 2
    with pytest.raises(NoSuchModel) as caught:
        latest(tmp_path / "models", 4)
    assert str(caught.value) == "no version 4 of 'tumour'; available: 1, 2, 3"


def test_does_not_choose_among_models(publish: Publish, tmp_path: Path) -> None:
    publish("tumour")
    publish("digits")

    with pytest.raises(NoSuchModel) as caught:
        latest(tmp_path / "models")

    models = tmp_path / "models"
    assert str(caught.value) == f"no single model in {models}; available: {models}/digits, {models}/tumour"


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
        verify(folder, read(found.folder))
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

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.knative.image import layouts
from tests.knative.image.layouts import list_files, read_index, write_image, write_index, write_server

from snooze.knative.image.errors import InvalidImage
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import MAX_DOCUMENT_BYTES, Descriptor, Image, compute_digest, read

AMD64 = "linux/amd64"


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return write_server(tmp_path / "server")


@pytest.fixture
def image(server: Path) -> Image:
    return read(Layout(server, None), AMD64)


def blobs(server: Path, image: Image) -> list[Path]:
    return [Layout(server, None).locate(one.digest) for one in image.layers]


def test_without_a_tag_the_only_image_is_meant(server: Path) -> None:
    assert Layout(server, None).read_manifest() == Layout(server, "1").read_manifest()


def test_names_the_tags_if_none_is_chosen(server: Path) -> None:
    one = write_image(server)
    write_index(server, {"1": one, "2": one})

    for chosen in (Layout(server, None), Layout(server, "3")):
        with pytest.raises(InvalidImage, match="it has: 1, 2"):
            chosen.read_manifest()


def test_writes_a_new_layout(server: Path, image: Image, tmp_path: Path) -> None:
    made = Layout(tmp_path / "new", "a")

    made.write(image, blobs(server, image))

    assert read(made, AMD64) == image
    assert all(made.has(one) for one in image.layers)
    assert json.loads((tmp_path / "new/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert list_files(tmp_path / "new") == list_files(server)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "server"]


def test_an_empty_folder_becomes_a_layout(server: Path, image: Image, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    Layout(tmp_path / "empty", "a").write(image, blobs(server, image))

    assert read_index(tmp_path / "empty") == {"a": image.digest}


def test_a_tag_is_replaced_and_other_images_stay(server: Path, image: Image, tmp_path: Path) -> None:
    other = Layout(write_server(tmp_path / "other", labels={}), "x")
    changed = read(other._replace(tag="1"), AMD64)
    for tag, one in (("a", image), ("b", image), ("a", changed)):
        Layout(tmp_path / "new", tag).write(one, [*blobs(server, image), *blobs(other.folder, changed)])

    assert read_index(tmp_path / "new") == {"b": image.digest, "a": changed.digest}
    assert read(Layout(tmp_path / "new", "b"), AMD64) == image


def test_blobs_that_are_there_are_not_needed(server: Path, image: Image) -> None:
    Layout(server, "again").write(image, [])

    assert read_index(server) == {"1": image.digest, "again": image.digest}


def test_a_damaged_blob_is_replaced(server: Path, image: Image, tmp_path: Path) -> None:
    new = Layout(tmp_path / "new", "a")
    new.write(image, blobs(server, image))
    new.locate(image.layers[0].digest).write_bytes(b"damaged")

    new.write(image, blobs(server, image))

    assert new.has(image.layers[0])


def test_several_commands_may_add_their_images_at_once(server: Path, image: Image) -> None:
    tags = [f"t{number}" for number in range(16)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda tag: Layout(server, tag).write(image, []), tags))

    assert read_index(server) == dict.fromkeys(["1", *tags], image.digest)


@pytest.mark.parametrize("content", [b"the wrong content..", b"x" * len(layouts.ROOT), None])
def test_refuses_a_wrong_layer_and_leaves_nothing(
    content: bytes | None, server: Path, image: Image, tmp_path: Path
) -> None:
    (wrong,) = blobs(server, image)
    wrong.unlink()
    if content is not None:
        wrong.write_bytes(content)

    with pytest.raises(InvalidImage, match="expected a layer of"):
        Layout(tmp_path / "new", "a").write(image, [wrong])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["server"]


def test_an_interrupt_leaves_a_layout_as_it_was(
    server: Path, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(source: Any, target: Any) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    existing = write_server(tmp_path / "existing", labels={})
    shutil.rmtree(existing / "blobs")
    before = list_files(tmp_path)
    monkeypatch.setattr("shutil.copyfile", interrupt)
    for folder in ("existing", "new"):
        with pytest.raises(KeyboardInterrupt):
            Layout(tmp_path / folder, "a").write(image, blobs(server, image))

    assert list_files(tmp_path) == before


def test_does_not_write_to_another_folder(server: Path, image: Image, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/notes.txt").write_text("mine")

    with pytest.raises(InvalidImage, match="is not an OCI layout"):
        Layout(tmp_path / "home", "a").write(image, blobs(server, image))

    assert list_files(tmp_path / "home") == ["notes.txt"]


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": [{"digest": "sha256:../../secret"}]},
        {"manifests": [{"digest": compute_digest(b"not there")}]},
        {"manifests": ["x"]},
        {"manifests": {}},
        {"manifests": [], "x": "x" * MAX_DOCUMENT_BYTES},
        [],
        "[" * 100_000,
        "{",
    ],
)
def test_refuses_a_damaged_index(index: Any, server: Path) -> None:
    (server / "index.json").write_text(index if isinstance(index, str) else json.dumps(index))

    with pytest.raises(InvalidImage):
        Layout(server, None).read_manifest()


def test_refuses_a_manifest_that_was_changed(server: Path) -> None:
    path = Layout(server, None).locate(read_index(server)["1"])
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(InvalidImage, match="does not have its digest"):
        Layout(server, None).read_manifest()


def test_has_only_what_is_whole(server: Path, image: Image) -> None:
    (one,) = image.layers

    assert Layout(server, None).has(one)
    assert not Layout(server, None).has(Descriptor(one.digest, one.size + 1))
    assert not Layout(server, None).has(Descriptor(compute_digest(b"other"), one.size))

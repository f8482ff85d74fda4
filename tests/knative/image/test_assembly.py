import errno
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.knative.image import layouts
from tests.knative.image.layouts import list_files, write_server

from snooze.bundle.store import Found, latest, sha256
from snooze.knative.image import assembly
from snooze.knative.image.errors import InvalidImage, NotStored, ProgramFailed
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import DOCKER_MANIFEST, OCI_MANIFEST, Image, read
from snooze.knative.image.skopeo import Registry, write_folder

AMD64 = "linux/amd64"
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, which has to be empty in the end."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def add(server: Layout, bundles: list[Found], target: Layout | Registry) -> Image:
    return assembly.add_models(read(server, AMD64), server, bundles, target)


def test_adds_bundles_to_a_server_image(on_disk: Make, tmp_path: Path, scratch: Path) -> None:
    server = Layout(write_server(tmp_path / "server"), "1")
    bundles = [latest(on_disk()), latest(on_disk(name="digits"))]
    target = Layout(tmp_path / "out", "both")

    made = add(server, bundles, target)

    assert read(target, AMD64) == made
    assert json.loads(made.labels["snooze.models"]) == [
        {"name": found.name, "version": found.version, "bundle": sha256(found.folder / "bundle.json")}
        for found in bundles
    ]
    assert all(target.has(one) for one in made.layers)
    with tarfile.open(target.locate(made.layers[-1].digest)) as archive:
        assert {"models/tumour/1/model.onnx", "models/digits/1/model.onnx"} < set(archive.getnames())
    assert list(scratch.iterdir()) == []


def test_the_digest_is_the_same_elsewhere_and_later(
    on_disk: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = on_disk()
    first = add(Layout(write_server(tmp_path / "a"), "1"), [latest(folder)], Layout(tmp_path / "out", "1"))
    copied = shutil.copytree(folder, tmp_path / "elsewhere")
    for path in copied.iterdir():
        os.utime(path, (0, 0))
    monkeypatch.setattr(time, "time", lambda: 2e9)

    again = add(Layout(write_server(tmp_path / "b"), "1"), [latest(copied)], Layout(tmp_path / "other", "2"))

    assert again.digest == first.digest


def test_the_layout_of_the_server_image_can_take_the_result(on_disk: Make, tmp_path: Path) -> None:
    server = Layout(write_server(tmp_path / "server"), "1")
    old = layouts.read_index(server.folder)["1"]

    made = add(server, [latest(on_disk())], server._replace(tag="tumour"))

    assert layouts.read_index(server.folder) == {"1": old, "tumour": made.digest}


def test_a_layer_that_is_missing_is_named(on_disk: Make, tmp_path: Path, scratch: Path) -> None:
    server = Layout(write_server(tmp_path / "server"), "1")
    image = read(server, AMD64)
    server.locate(image.layers[0].digest).unlink()

    with pytest.raises(InvalidImage, match="expected a layer of"):
        add(server, [latest(on_disk())], Layout(tmp_path / "out", "1"))

    assert not (tmp_path / "out").exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_behind(
    error: BaseException, on_disk: Make, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    server = Layout(write_server(tmp_path / "server"), "1")
    bundles = [latest(on_disk())]
    before = list_files(tmp_path)
    monkeypatch.setattr(Layout, "write", fail)

    with pytest.raises((NotStored, KeyboardInterrupt)) as caught:
        add(server, bundles, Layout(tmp_path / "out", "1"))

    assert list_files(tmp_path) == before
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"cannot write oci:{tmp_path}/out:1: No space left on device, there or for temporary files in {scratch} "
            "(TMPDIR)"
        )


def test_a_folder_that_cannot_be_written_is_named(on_disk: Make, tmp_path: Path) -> None:
    with pytest.raises(NotStored, match=f"No such file or directory: {tmp_path}/nowhere"):
        add(
            Layout(write_server(tmp_path / "server"), "1"),
            [latest(on_disk())],
            Layout(tmp_path / "nowhere/out", "1"),
        )


SKOPEO = f"""#!{sys.executable}
# Copies between `dir:` and a registry that is a folder: NAME:TAG and NAME@DIGEST are folders in it.
import os, shutil, sys
from pathlib import Path
command, *arguments = [one for one in sys.argv[1:] if not one.startswith("--") or one == "--config"]
def place(text):
    kind, _, rest = text.partition(":")
    return Path(rest) if kind == "dir" else Path(os.environ["HUB"]) / rest.removeprefix("//").replace("/", "_")
print(command, *arguments, file=open(os.environ["HUB"] + "/log", "a"))
if command == "inspect":
    folder = place(arguments[-1])
    if "--config" in arguments:
        import json
        digest = json.loads((folder / "manifest.json").read_text())["config"]["digest"].partition(":")[2]
        sys.stdout.write((folder / digest).read_text())
    else:
        sys.stdout.write((folder / "manifest.json").read_text())
elif os.environ.get("FAIL") and arguments[-1].endswith(os.environ["FAIL"]):
    sys.exit('level=fatal msg="the registry is gone"')
else:
    shutil.copytree(place(arguments[0]), place(arguments[1]), dirs_exist_ok=True)
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `skopeo` on the PATH whose registries are a folder, and return the folder."""
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(SKOPEO)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("HUB", str(folder))
    return folder


@pytest.mark.process
def test_a_registry_gets_only_what_it_lacks(hub: Path, on_disk: Make, tmp_path: Path, scratch: Path) -> None:
    layout = Layout(write_server(tmp_path / "server"), "1")
    bundles = [latest(on_disk())]
    wanted = add(layout, bundles, Layout(tmp_path / "out", "1"))
    server = read(layout, AMD64)
    origin, target = Registry("r.example.com/snooze", "1"), Registry("r.example.com/tumour", "1")
    for place in ("snooze:1", f"snooze@{server.digest}"):
        write_pushed(hub / f"r.example.com_{place}", layout, server)

    made = assembly.add_models(server, origin, bundles, target)

    assert made == wanted
    first, second = (hub / "log").read_text().splitlines()
    assert first == f"copy docker://{origin.pin(server.digest)} docker://{target.pin(server.digest)}"
    assert second.endswith("docker://r.example.com/tumour:1")
    pushed = hub / "r.example.com_tumour:1"
    config = json.loads(made.manifest)["config"]["digest"]
    sent = [made.layers[-1].digest, config]
    assert list_files(pushed) == sorted([one.removeprefix("sha256:") for one in sent] + ["manifest.json", "version"])
    assert list(scratch.iterdir()) == []


def test_a_layout_does_not_take_an_image_in_the_format_of_docker(on_disk: Make, tmp_path: Path) -> None:
    """skopeo and podman would not find it."""
    server = Layout(write_server(tmp_path / "server", media_type=DOCKER_MANIFEST), "1")

    with pytest.raises(InvalidImage, match="Docker's format"):
        add(server, [latest(on_disk())], Layout(tmp_path / "out", "1"))


@pytest.mark.process
@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_layout_sends_all_layers_to_a_registry(media_type: str, hub: Path, on_disk: Make, tmp_path: Path) -> None:
    layout = Layout(write_server(tmp_path / "server", media_type=media_type), "1")

    made = add(layout, [latest(on_disk())], Registry("r.example.com/tumour", "1"))

    assert {one.digest.removeprefix("sha256:") for one in made.layers} < set(list_files(hub / "r.example.com_tumour:1"))


@pytest.mark.process
def test_a_layout_takes_layers_from_a_registry_once(hub: Path, on_disk: Make, tmp_path: Path) -> None:
    layout = Layout(write_server(tmp_path / "server"), "1")
    server = read(layout, AMD64)
    origin = Registry("r.example.com/snooze", "1")
    write_pushed(hub / f"r.example.com_snooze@{server.digest}", layout, server)

    for name in ("tumour", "digits"):
        made = assembly.add_models(server, origin, [latest(on_disk(name=name))], Layout(tmp_path / "out", name))
        assert read(Layout(tmp_path / "out", name), AMD64) == made

    assert len((hub / "log").read_text().splitlines()) == 1


@pytest.mark.process
def test_a_registry_that_fails_leaves_nothing(
    hub: Path, on_disk: Make, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "tumour:1")

    with pytest.raises(ProgramFailed, match="the registry is gone"):
        add(
            Layout(write_server(tmp_path / "server"), "1"),
            [latest(on_disk())],
            Registry("r.example.com/tumour", "1"),
        )

    assert [path.name for path in hub.iterdir()] == ["log"]
    assert list(scratch.iterdir()) == []


def write_pushed(folder: Path, layout: Layout, image: Image) -> None:
    """Write an image as the registry of the small `skopeo` has it."""
    folder.mkdir()
    write_folder(folder, image, [layout.locate(one.digest) for one in image.layers])

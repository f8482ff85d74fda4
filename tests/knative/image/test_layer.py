import gzip
import hashlib
import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snooze.bundle.errors import InvalidOption, OutsideFolder
from snooze.bundle.store import Found, latest
from snooze.knative.image.layer import check_distinct, write
from snooze.knative.image.server_image import Layer

Make = Callable[..., Path]


def write_bytes(*bundles: Found) -> tuple[bytes, Layer]:
    file = io.BytesIO()
    layer = write(bundles, file)
    return file.getvalue(), layer


def test_contains_the_bundles_readable_by_everybody_and_nothing_else(on_disk: Make) -> None:
    folders = [on_disk(), on_disk(), on_disk(name="digits")]
    (folders[0] / "notes.txt").write_text("not a file of the bundle")
    (folders[0] / "model.onnx").chmod(0o600)

    data, _ = write_bytes(*map(latest, folders))

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        entries = archive.getmembers()
        model = archive.extractfile("models/tumour/1/model.onnx")
        assert model is not None
        assert model.read() == (folders[0] / "model.onnx").read_bytes()
    assert [entry.name for entry in entries if entry.isdir()] == [
        "models",
        "models/digits",
        "models/digits/1",
        "models/tumour",
        "models/tumour/1",
        "models/tumour/2",
    ]
    assert [entry.name for entry in entries if entry.name.startswith("models/tumour/1/")] == [
        f"models/tumour/1/{name}" for name in ("bundle.json", "model.onnx", "samples.npz")
    ]
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
    assert {(entry.isdir(), entry.mode) for entry in entries} == {(True, 0o755), (False, 0o644)}
    assert len({entry.mtime for entry in entries}) == 1


def test_the_digests_are_those_of_the_bytes(on_disk: Make) -> None:
    data, layer = write_bytes(latest(on_disk()))

    assert layer.blob.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert layer.blob.size == len(data)
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}"


def test_is_the_same_in_another_folder_at_another_time(
    on_disk: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = on_disk(), on_disk(name="digits")
    first, _ = write_bytes(latest(one), latest(other))
    copied = [shutil.copytree(folder, tmp_path / "elsewhere" / str(i)) for i, folder in enumerate((one, other))]
    for path in (tmp_path / "elsewhere").rglob("*"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    monkeypatch.setattr(time, "time", lambda: 2e9)

    again, _ = write_bytes(*map(latest, reversed(copied)))

    assert again == first


def test_a_changed_file_changes_the_layer(on_disk: Make) -> None:
    assert write_bytes(latest(on_disk()))[0] != write_bytes(latest(on_disk(name="digits")))[0]


def test_refuses_a_link_that_leads_out_of_a_bundle(on_disk: Make, tmp_path: Path) -> None:
    found = latest(on_disk())
    (tmp_path / "secret").write_text("secret")
    (found.folder / "model.onnx").unlink()
    (found.folder / "model.onnx").symlink_to(tmp_path / "secret")

    with pytest.raises(OutsideFolder):
        write_bytes(found)


def test_refuses_the_same_version_twice(on_disk: Make, tmp_path: Path) -> None:
    folder = on_disk()
    copied = shutil.copytree(folder, tmp_path / "copy")

    check_distinct([latest(folder), latest(on_disk())])
    with pytest.raises(InvalidOption, match="are both 'tumour' version 1"):
        check_distinct([latest(folder), latest(copied)])


def test_long_names_fit(on_disk: Make) -> None:
    name = "m" * 100
    data, _ = write_bytes(latest(on_disk(name=name)))

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert f"models/{name}/1/samples.npz" in archive.getnames()

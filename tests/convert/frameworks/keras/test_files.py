import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.errors import NotAModel
from snooze.convert.frameworks.keras import files
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def saved(keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same compiled model in each format."""
    folder = tmp_path_factory.mktemp("keras")
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,), name="rows"), layers.Dense(2)])
    with quiet():  # Keras 3.15 warns of numpy's array protocol
        model.compile("adam", "mse")
        for name in ("m.keras", "m.h5", "m.hdf5"):
            model.save(folder / name)
        model.save_weights(folder / "m.weights.h5")
    return folder


def load(path: Path, keras: ModuleType) -> NotAModel:
    with pytest.raises(NotAModel) as caught:
        files.load(path, keras)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
def test_reads_every_format(keras: ModuleType, saved: Path, name: str) -> None:
    path = saved / name

    assert files.is_archive(path) is not files.is_hdf5(path)
    assert files.load(path, keras).input_shape == (None, 3)


def test_other_files_are_not_recognized(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"PK")

    assert not any(
        is_kind(path) for is_kind in (files.is_archive, files.is_hdf5) for path in (tmp_path, tmp_path / "m.keras")
    )


def test_arguments_that_keras_3_removed_are_ignored_at_their_usual_value(
    keras: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    with quiet():
        model = tf_keras.Sequential(
            [layers.Input((6, 6, 2)), layers.DepthwiseConv2D(3), layers.Reshape((16, 2)), layers.LSTM(3)]
        )
        model.save(tmp_path / "old.h5")
    rows = np.linspace(-1, 1, 144, dtype=np.float32).reshape(2, 6, 6, 2)
    monkeypatch.setattr(files, "import_legacy", lambda: None)

    loaded = files.load(tmp_path / "old.h5", keras)

    assert isinstance(loaded, keras.Model)
    np.testing.assert_allclose(loaded(rows), model(rows), atol=1e-6)


def test_tf_keras_reads_what_keras_3_cannot(keras: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    with quiet():
        model = tf_keras.Sequential([layers.Input((4,)), layers.ThresholdedReLU(), layers.Dense(2)])
        model.save(tmp_path / "old.h5")

    assert isinstance(files.load(tmp_path / "old.h5", keras), tf_keras.Model)

    monkeypatch.setattr(files, "import_legacy", lambda: None)
    error = load(tmp_path / "old.h5", keras)
    assert "ThresholdedReLU" in error.problem
    assert error.problem.endswith("; Keras 2 wrote the file: pip install tf_keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_is_refused(keras: ModuleType, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    path = tmp_path / f"m{suffix}"
    with quiet():
        keras.Sequential([layers.Input((2,)), layers.Lambda(lambda x: x * 2)]).save(path)

    assert load(path, keras).problem.startswith("contains a Lambda layer, which is code; replace it by a layer of")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_layer_of_ones_own_is_named(keras: ModuleType, tmp_path: Path, suffix: str) -> None:
    layers, path = keras.layers, tmp_path / f"m{suffix}"

    class Twice(layers.Layer):  # type: ignore[name-defined]
        def call(self, rows: Any) -> Any:
            return rows * 2

    with quiet():
        keras.Sequential([layers.Input((2,)), Twice()]).save(path)

    problem = load(path, keras).problem
    assert "it contains the class Twice, which Keras does not have" in problem
    assert "@keras.saving.register_keras_serializable()" in problem
    assert "snooze.convert.convert" in problem


def test_weights_alone_are_refused(keras: ModuleType, saved: Path) -> None:
    assert load(saved / "m.weights.h5", keras).problem == (
        'contains weights only, not the layers; save the whole model: model.save("model.keras")'
    )


def change(source: Path, target: Path, edit: Callable[[Members], object]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        members = {name: old.read(name) for name in old.namelist()}
        edit(members)
        for name, content in members.items():
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda one: one.update({"../../evil": b""}), "contains the path '../../evil', which leaves its folder"),
        (lambda one: one.update({"/etc/evil": b""}), "contains the path '/etc/evil', which leaves its folder"),
        (lambda one: one.update(bomb=bytes(10**6)), "'bomb' claims 1000000 bytes, of which the file holds "),
        (lambda one: one.pop("config.json"), "cannot be read: "),
        (lambda one: one.update({"config.json": b"{"}), "cannot be read: Expecting property name"),
        (lambda one: one.update({"config.json": b"[" * 99999}), "cannot be read: maximum recursion depth"),
        (lambda one: one.update({"config.json": b"[]"}), "cannot be read: "),
        (lambda one: one.update({"model.weights.h5": b"\x89HDF\r\n\x1a\n"}), "is damaged ("),
    ],
)
def test_archives_that_would_do_harm_are_refused(
    keras: ModuleType,
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[Members], object],
    problem: str,
) -> None:
    monkeypatch.setattr(files, "FREE_SIZE", 10**5)
    path = change(saved / "m.keras", tmp_path / "m.keras", edit)

    assert load(path, keras).problem.startswith(problem)


def test_weights_of_another_shape_are_refused(keras: ModuleType, saved: Path, tmp_path: Path) -> None:
    def widen(members: Members) -> None:
        members["config.json"] = members["config.json"].replace(b'"units": 2', b'"units": 5')

    error = load(change(saved / "m.keras", tmp_path / "m.keras", widen), keras)

    assert error.problem.startswith("cannot be read: ValueError: A total of 1 objects could not be loaded")


def point_elsewhere(file: Any, h5py: ModuleType) -> None:
    file["x"] = h5py.ExternalLink("/etc/passwd", "/x")


def store_elsewhere(file: Any, h5py: ModuleType) -> None:
    file.create_dataset("x", (10,), dtype="u1", external=[("/etc/passwd", 0, 10)])


def claim(file: Any, h5py: ModuleType) -> None:
    file.create_dataset("x", (10**12,), dtype="f4", chunks=(10**6,))


def nest(file: Any, h5py: ModuleType) -> None:
    file["model_weights"]["x"] = file["/"]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (point_elsewhere, "points to another file (/etc/passwd)"),
        (store_elsewhere, "keeps '/x' in another file"),
        (claim, "'/x' claims 4000000000000 bytes, of which the file holds 0"),
        (nest, "is damaged (maximum recursion depth"),
    ],
)
def test_hdf5_files_that_would_do_harm_are_refused(
    keras: ModuleType, saved: Path, tmp_path: Path, edit: Callable[[Any, ModuleType], None], problem: str
) -> None:
    h5py = pytest.importorskip("h5py")
    path = Path(shutil.copy(saved / "m.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        edit(file, h5py)

    assert load(path, keras).problem.startswith(problem)


@pytest.mark.parametrize(("name", "problem"), [("m.keras", "is not a .keras or .h5 file"), ("m.h5", "is damaged (")])
def test_truncated_files_are_refused(keras: ModuleType, saved: Path, tmp_path: Path, name: str, problem: str) -> None:
    data = (saved / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])

    assert load(tmp_path / name, keras).problem.startswith(problem)

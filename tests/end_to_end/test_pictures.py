"""Files of pictures to answers over HTTP: each is what Keras says of the same file."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.end_to_end.servers import DATA, serve

from snooze.bundle.evidence import read_evidence
from snooze.convert import convert

pytestmark = [pytest.mark.process, pytest.mark.framework]

RTOL, ATOL = 1e-4, 1e-5
ROWS = 500


def write_fashion(folder: Path) -> None:
    """Write PNG files of Fashion-MNIST."""
    file = DATA / "fashion_mnist/fashion_mnist_subset.npz"
    if not file.exists():
        pytest.skip(f"needs the pictures of Fashion-MNIST in {file} (SNOOZE_DATA)")
    with np.load(file) as data:
        for number, (pixels, label) in enumerate(zip(data["x_test"][:ROWS], data["y_test"][:ROWS], strict=True)):
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / str(label) / f"{number:03}.png")


def write_cifar(folder: Path) -> None:
    """Write JPEG files of CIFAR-10."""
    file = DATA / "cifar10_jpg/cifar10_train_4000.zip"
    if not file.exists():
        pytest.skip(f"needs the pictures of CIFAR-10, which must not be republished, in {file} (SNOOZE_DATA)")
    with zipfile.ZipFile(file) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        for name in names[:: len(names) // ROWS]:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))


@pytest.mark.parametrize(
    ("write", "mode", "size"),
    [(write_fashion, "grayscale", (28, 28)), (write_cifar, "rgb", (40, 48))],
)
def test_a_network_answers_files(write: Any, mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    """A small network, trained on values from 0 to 1 that Keras has read from the files."""
    from snooze.convert.frameworks.keras.framework import import_keras

    keras = import_keras()
    keras.utils.set_random_seed(7)
    folder = tmp_path / "pictures"
    write(folder)
    rows = keras.utils.image_dataset_from_directory(folder, color_mode=mode, image_size=size, seed=7, verbose=False)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*size, 1 if mode == "grayscale" else 3), name="pixels"),
            layers.Conv2D(8, 3, 2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(rows.map(lambda pixels, labels: (pixels / 255, labels)), epochs=8, shuffle=False, verbose=0)

    made = convert(model, name="things", target=tmp_path / "models", data=folder, quantize="none")

    assert made.bundle.adapter is not None
    assert made.bundle.adapter["scale"] == 1 / 255
    assert made.bundle.labels == tuple(rows.class_names)
    parity = read_evidence(made.bundle).adapter
    assert parity is not None
    assert (parity.data.rows, parity.data.flips) == (ROWS, 0)

    import tensorflow

    paths = sorted(path for path in folder.rglob("*.*"))[::10]
    pixels = np.stack([keras.utils.img_to_array(keras.utils.load_img(path, mode)) for path in paths])
    expected = model.predict(tensorflow.image.resize(pixels, size).numpy() / np.float32(255), verbose=0)
    found = []
    with serve(tmp_path / "models") as server:
        for path in paths:
            kind = "image/png" if path.suffix == ".png" else "image/jpeg"
            status, body = server.request("POST", "/predict", path.read_bytes(), Content_Type=kind)
            assert status == 200, body
            (answer,) = json.loads(body)["predictions"]
            found.append([answer["probabilities"][name] for name in rows.class_names])
        status, body = server.request("POST", "/predict", b"GIF89a" + bytes(20), Content_Type="image/jpeg")
    assert status == 400
    assert b"got a GIF file" in body
    np.testing.assert_allclose(found, expected, RTOL, ATOL)

"""The adapter gives what Keras reads from the same files."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snooze.bundle.adapters.image import Declaration, load
from snooze.convert.frameworks.keras.pictures import make_reader, scales

pytestmark = pytest.mark.framework
USUAL: dict[str, Any] = {
    "kind": "image", "input": "x", "height": 24, "width": 32, "layout": "NHWC", "channels": "RGB",
}  # fmt: skip


def picture(kind: str, orientation: int = 1) -> bytes:
    y, x = np.mgrid[0:60, 0:90]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.fromarray(np.stack([2 * x, 3 * y, x * y % 256], 2).astype(np.uint8)).save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"filter": "tf-bilinear"},
        {"filter": "tf-bicubic", "fit": "crop"},
        {"filter": "tf-nearest"},
        {"filter": "nearest"},
        {"filter": "lanczos", "fit": "crop"},
        {"channels": "grey"},
        {"channels": "BGR", "mean": (103.939, 116.779, 123.68)},
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"scale": 1 / 127.5, "mean": (1.0,), "layout": "NCHW"},
        {"orientation": "ignore"},
    ],
)
def test_reads_what_the_adapter_makes(keras: Any, fields: dict[str, Any]) -> None:
    declaration = Declaration(**USUAL | fields)
    rows = [picture("JPEG"), picture("PNG"), picture("JPEG", 6), picture("WebP", 3)]
    read = make_reader(keras, declaration)

    assert read is not None
    assert np.array_equal(read(rows), load(declaration, (), Path()).apply(rows)["x"])


@pytest.mark.parametrize("fields", [{"fit": "shorter", "shorter": 40}, {"alpha": "white"}, {"layout": "flat"}])
def test_what_keras_cannot_read_has_no_reader(keras: Any, fields: dict[str, Any]) -> None:
    assert make_reader(keras, Declaration(**USUAL | fields)) is None


def test_knows_networks_that_scale(keras: Any) -> None:
    layers = keras.layers
    plain = [keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)]

    assert not scales(keras.Sequential(plain))
    assert scales(keras.Sequential([plain[0], layers.Rescaling(1 / 255), *plain[1:]]))

"""How Keras itself reads pictures: the reference for the image adapter."""

from collections.abc import Sequence
from io import BytesIO
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.adapters.picture import import_pillow, read_orientation
from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.interface import PictureReader

MODES: Final = {"RGB": "rgb", "BGR": "rgb", "RGBA": "rgba", "grey": "grayscale"}
SCALING: Final = ("Rescaling", "Normalization")


def scales(model: Any) -> bool:
    """Return whether a model has a layer that scales its inputs."""
    return any(type(layer).__name__ in SCALING for layer in model._flatten_layers(include_self=False))


def make_reader(keras: ModuleType, declaration: Declaration) -> PictureReader | None:
    """
    Return a function that reads pictures with Keras: `load_img`, and `tf.image.resize` for its filters.

    `image_dataset_from_directory` resizes in the same way, but lets TensorFlow decode, whose fast decoder of JPEG files
    differs from Pillow's and from TensorFlow's accurate one. None if Keras cannot read pictures as declared.
    """
    if declaration.fit == "shorter" or declaration.alpha != "drop" or declaration.layout in ("NHW", "flat"):
        return None
    from_tensorflow = declaration.filter.startswith("tf-")
    filter = declaration.filter.removeprefix("tf-")
    size, crop = (declaration.height, declaration.width), declaration.fit == "crop"

    def read(row: bytes) -> Array:
        mode, file = MODES[declaration.channels], BytesIO(_turn(row) if declaration.orientation == "exif" else row)
        if from_tensorflow:
            pixels = keras.utils.img_to_array(keras.utils.load_img(file, mode), "channels_last")
            resized = _resize(keras, pixels, size, filter, crop)
        else:
            image = keras.utils.load_img(file, mode, size, interpolation=filter, keep_aspect_ratio=crop)
            resized = keras.utils.img_to_array(image, "channels_last")
        return _scale(resized, declaration)

    def read_all(rows: Sequence[bytes]) -> Array:
        return np.stack([read(row) for row in rows])

    return read_all


def _resize(keras: ModuleType, pixels: Array, size: tuple[int, int], filter: str, crop: bool) -> Array:
    import tensorflow

    if crop:
        return np.asarray(keras.preprocessing.image.smart_resize(pixels, size, filter))
    return np.asarray(tensorflow.image.resize(pixels, size, filter))


def _scale(pixels: Array, declaration: Declaration) -> Array:
    """Return pixels scaled as `keras.applications` does, each step in single precision."""
    if declaration.channels == "BGR":
        pixels = pixels[..., ::-1]
    if declaration.scale != 1:
        pixels = pixels / np.float32(1 / declaration.scale)
    if declaration.mean:
        pixels = pixels - np.array(declaration.mean, np.float32)
    if declaration.std:
        pixels = pixels / np.array(declaration.std, np.float32)
    return pixels.transpose(2, 0, 1) if declaration.layout == "NCHW" else pixels


def _turn(row: bytes) -> bytes:
    """Return a picture upright, as a file without losses."""
    if read_orientation(row) == 1:
        return row
    upright = import_pillow("ImageOps").exif_transpose(import_pillow().open(BytesIO(row)))
    file = BytesIO()
    upright.save(file, "PNG")
    return file.getvalue()

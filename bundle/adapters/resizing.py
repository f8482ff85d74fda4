"""
Pictures become arrays of the size that a model takes.

There are two families of filters. Pillow's work on 8-bit values and, except `nearest`, average all pixels that a pixel
of the result covers; `keras.utils.load_img` and torchvision use them. Those whose names begin with `tf-` are those of
`tf.image.resize`, which `keras.utils.image_dataset_from_directory` uses: they work on single precision, and look at a
few pixels only, however much smaller the result is.
"""

from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Filter = Literal[
    "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "tf-nearest", "tf-bilinear", "tf-bicubic"
]
Fit = Literal["stretch", "crop", "shorter"]
Box: TypeAlias = tuple[int, int, int, int]  # left, upper, right, lower

PILLOW: Final[dict[Filter, int]] = {"nearest": 0, "box": 4, "bilinear": 2, "hamming": 5, "bicubic": 3, "lanczos": 1}
STEPS: Final = 1024  # tf.image.resize rounds distances to so many parts of a pixel for its cubic filter
SUPPORT_BYTES: Final = 48  # that the weights of Pillow's widest filter take for each row and column of the source


class Target(NamedTuple):
    """The size to reach, and how."""

    width: int
    height: int
    filter: Filter
    fit: Fit
    shorter: int | None = None


def enlarged(width: int, height: int, target: Target) -> tuple[int, int]:
    """Return the size that a picture is resized to: larger than the target where its edges are cut off then."""
    if target.shorter is None:
        return target.width, target.height
    # As torchvision's Resize of one number.
    if width <= height:
        return target.shorter, int(target.shorter * height / width)
    return int(target.shorter * width / height), target.shorter


def memory(width: int, height: int, target: Target) -> int:
    """Return the bytes that `resize` takes at its peak beside the picture."""
    to_width, to_height = enlarged(width, height, target)
    if target.filter not in PILLOW:
        return 4 * width * height + 64 * to_width * to_height
    return 4 * to_width * (height + to_height) + SUPPORT_BYTES * (width + height) + 8 * target.width * target.height


def resize(image: Any, target: Target) -> Array:
    """
    Return a picture of Pillow as an array of shape [height, width, channels].

    Its type is uint8, but float32 for the filters `tf-bilinear` and `tf-bicubic`.
    """
    size = (target.width, target.height)
    width, height = image.size
    if target.filter not in PILLOW:
        if target.fit == "crop":
            image = image.crop(_smart_box(width, height, target))
        return _resize_as_tensorflow(_pixels(image), target)
    if target.fit == "shorter":
        whole = enlarged(width, height, target)
        if whole != image.size:
            image = image.resize(whole, PILLOW[target.filter])
        left, upper = round((whole[0] - size[0]) / 2), round((whole[1] - size[1]) / 2)  # as torchvision's CenterCrop
        return _pixels(image.crop((left, upper, left + size[0], upper + size[1])))
    if image.size != size:
        box = _largest_box(width, height, target) if target.fit == "crop" else None
        image = image.resize(size, PILLOW[target.filter], box=box)
    return _pixels(image)


def _pixels(image: Any) -> Array:
    return np.asarray(image).reshape(image.height, image.width, -1)


def _largest_box(width: int, height: int, target: Target) -> Box:
    """Return the largest part in the middle with the ratio of the target, as `load_img(keep_aspect_ratio=True)`."""
    crop_width = min(width, height * target.width // target.height)
    crop_height = min(height, width * target.height // target.width)
    return _middle(width, height, max(1, crop_width), max(1, crop_height))


def _smart_box(width: int, height: int, target: Target) -> Box:
    """Return that part as `image_dataset_from_directory(crop_to_aspect_ratio=True)`: in single precision."""
    crop_width = min(width, int(np.float32(height * target.width) / np.float32(target.height)))
    crop_height = min(height, int(np.float32(width * target.height) / np.float32(target.width)))
    return _middle(width, height, max(1, crop_width), max(1, crop_height))


def _middle(width: int, height: int, crop_width: int, crop_height: int) -> Box:
    left, upper = (width - crop_width) // 2, (height - crop_height) // 2
    return left, upper, left + crop_width, upper + crop_height


def _resize_as_tensorflow(pixels: Array, target: Target) -> Array:
    height, width, _ = pixels.shape
    if (width, height) == (target.width, target.height):
        return pixels if target.filter == "tf-nearest" else pixels.astype(np.float32)
    # The centres of the result's pixels in the source, counted from its edge.
    rows, columns = _centres(height, target.height), _centres(width, target.width)
    if target.filter == "tf-nearest":
        nearest = np.minimum(rows.astype(np.int64), height - 1), np.minimum(columns.astype(np.int64), width - 1)
        return pixels[np.ix_(*nearest)]
    half = np.float32(0.5)
    resize = _resize_linearly if target.filter == "tf-bilinear" else _resize_cubically
    return resize(pixels, rows - half, columns - half)


def _centres(size: int, to_size: int) -> Array:
    return (np.arange(to_size, dtype=np.float32) + np.float32(0.5)) * (np.float32(size) / np.float32(to_size))


def _resize_linearly(pixels: Array, rows: Array, columns: Array) -> Array:
    upper, lower, down = _neighbours(rows, pixels.shape[0])
    left, right, across = _neighbours(columns, pixels.shape[1])
    across, down = across[:, None], down[:, None, None]
    above = _blend(pixels[np.ix_(upper, left)], pixels[np.ix_(upper, right)], across)
    below = _blend(pixels[np.ix_(lower, left)], pixels[np.ix_(lower, right)], across)
    return _blend(above, below, down)


def _neighbours(places: Array, size: int) -> tuple[Array, Array, Array]:
    floor = np.floor(places)
    first, second = floor.astype(np.int64), np.ceil(places).astype(np.int64)
    return np.maximum(first, 0), np.minimum(second, size - 1), places - floor


def _blend(first: Array, second: Array, share: Array) -> Array:
    wide = first.astype(np.float32)
    return np.asarray(wide + (second.astype(np.float32) - wide) * share)


def _resize_cubically(pixels: Array, rows: Array, columns: Array) -> Array:
    lines, line_weights = _cubic(rows, pixels.shape[0])
    places, weights = _cubic(columns, pixels.shape[1])
    result = np.float32(0)
    for place, weight in zip(places, weights, strict=True):
        column = np.float32(0)
        for line, line_weight in zip(lines, line_weights, strict=True):
            column = column + pixels[np.ix_(line, place)] * line_weight[:, None, None]
        result = result + column * weight[:, None]
    return np.asarray(result)


def _cubic(places: Array, size: int) -> tuple[Array, Array]:
    """Return the four source pixels of each of the result and their weights: Keys' cubic with a = -0.5."""
    floor = np.floor(places)
    parts = np.rint((places - floor) * np.float32(STEPS)).astype(np.int64)
    near, far = _cubic_table()
    weights = np.stack([far[parts], near[parts], near[STEPS - parts], far[STEPS - parts]])
    wanted = floor.astype(np.int64) + np.arange(-1, 3)[:, None]
    weights[(wanted < 0) | (wanted >= size)] = 0
    total = weights[0] + weights[1] + weights[2] + weights[3]
    weights *= np.float32(1) / total
    return np.clip(wanted, 0, size - 1), weights


def _cubic_table() -> tuple[Array, Array]:
    """Return the weights of a pixel that is 0 to 1, and 1 to 2 pixels away, in steps."""
    a, x = -0.5, np.arange(STEPS + 1) / STEPS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return near.astype(np.float32), far.astype(np.float32)

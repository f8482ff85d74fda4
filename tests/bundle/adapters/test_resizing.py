"""Each filter is the original's, bit for bit."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snooze.bundle.adapters.resizing import PILLOW, Filter, Target, enlarged, memory, resize

SIZES = [(64, 48), (48, 64), (300, 300), (640, 427), (641, 500), (1, 1), (1280, 7)]


@pytest.fixture
def photograph(photographs: dict[str, bytes]) -> Any:
    return Image.open(BytesIO(photographs["china"]))


@pytest.mark.parametrize("filter", PILLOW)
@pytest.mark.parametrize("size", SIZES)
def test_filters_of_pillow(photograph: Any, filter: Filter, size: tuple[int, int]) -> None:
    expected = photograph.resize(size, PILLOW[filter])

    for image, wanted in (
        (photograph, expected),
        (photograph.convert("L"), photograph.convert("L").resize(size, PILLOW[filter])),
    ):
        got = resize(image, Target(*size, filter, "stretch"))
        assert got.dtype == np.uint8
        assert np.array_equal(got, np.asarray(wanted).reshape(got.shape))


@pytest.mark.framework
@pytest.mark.parametrize("filter", PILLOW)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_load_img_of_keras(
    photographs: dict[str, bytes], keras: Any, filter: Filter, keep: bool, size: tuple[int, int]
) -> None:
    target = Target(*size, filter, "crop" if keep else "stretch")
    for mode, channels in (("rgb", "RGB"), ("grayscale", "L")):
        expected = keras.utils.load_img(
            BytesIO(photographs["china"]), mode, size[::-1], interpolation=filter, keep_aspect_ratio=keep
        )
        got = resize(Image.open(BytesIO(photographs["china"])).convert(channels), target)
        assert np.array_equal(got, np.asarray(expected).reshape(got.shape))


@pytest.mark.framework
@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_resize_of_tensorflow(photograph: Any, filter: Any, size: tuple[int, int]) -> None:
    import tensorflow

    expected = tensorflow.image.resize(np.asarray(photograph), size[::-1], filter).numpy()
    got = resize(photograph, Target(*size, f"tf-{filter}", "stretch"))  # type: ignore[arg-type]

    assert np.array_equal(got, expected)


@pytest.mark.framework
@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
def test_image_dataset_from_directory(
    photograph: Any, keras: Any, tmp_path: Path, filter: Any, crop: bool, size: tuple[int, int]
) -> None:
    photograph.save(tmp_path / "picture.png")
    rows = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=size[::-1], interpolation=filter, crop_to_aspect_ratio=crop, verbose=False
    )
    got = resize(photograph, Target(*size, f"tf-{filter}", "crop" if crop else "stretch"))  # type: ignore[arg-type]

    assert np.array_equal(got, next(iter(rows)).numpy()[0])


@pytest.mark.parametrize(
    ("size", "shorter", "whole"),
    [((640, 427), 256, (383, 256)), ((427, 640), 256, (256, 383)), ((9, 9), 256, (256, 256))],
)
def test_the_shorter_side_as_torchvision(
    photograph: Any, size: tuple[int, int], shorter: int, whole: tuple[int, int]
) -> None:
    """torchvision's Resize(256) and CenterCrop(224), written down by hand: sizes are truncated, edges rounded."""
    image = photograph.resize(size)
    target = Target(224, 224, "bilinear", "shorter", shorter)
    left, upper = round((whole[0] - 224) / 2), round((whole[1] - 224) / 2)
    expected = np.asarray(image.resize(whole, Image.Resampling.BILINEAR))[upper : upper + 224, left : left + 224]

    assert enlarged(*size, target) == whole
    assert np.array_equal(resize(image, target), expected)


def test_states_the_memory_of_extreme_pictures() -> None:
    """Pillow makes an intermediate picture of the target's width and the source's height."""
    assert memory(1, 60_000, Target(4000, 4000, "bilinear", "stretch")) > 4 * 4000 * 60_000

"""Pictures become the inputs that the frameworks' own preprocessing makes of them."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.bundle.adapters.conftest import Save, same
from tests.bundle.conftest import CONTRACT

from snooze.bundle.adapters import image
from snooze.bundle.adapters.image import Declaration, ImageAdapter, check, find_problem, load
from snooze.bundle.adapters.interface import Array
from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidContract, InvalidRow, MissingExtra

SHAPES = {"NHWC": (30, 40, 3), "NCHW": (3, 30, 40), "NHW": (30, 40), "flat": (3600,)}


def declare(**fields: Any) -> Declaration:
    usual = {"kind": "image", "input": "x", "height": 30, "width": 40, "layout": "NHWC", "channels": "RGB"}
    return Declaration(**usual | fields)  # type: ignore[arg-type]


def make(datatype: Any = "FP32", **fields: Any) -> ImageAdapter:
    declaration = declare(**fields)
    return load(declaration, (Tensor("x", datatype, (-1, *image._shape(declaration))),), Path())


def apply(adapter: ImageAdapter, *rows: bytes) -> Array:
    (array,) = adapter.apply(rows).values()
    return array


@pytest.mark.parametrize("datatype", ["UINT8", "INT32", "FP16", "FP32", "FP64"])
def test_values_are_those_of_the_file(save: Save, pattern: Any, datatype: Datatype) -> None:
    adapter = make(datatype)
    array = apply(adapter, save(pattern, "PNG"), save(ImageOps.invert(pattern), "PNG"))

    assert array.dtype == DATATYPES[datatype]
    assert array.flags["C_CONTIGUOUS"]
    assert np.array_equal(array, np.stack([np.asarray(pattern), 255 - np.asarray(pattern)]))


@pytest.mark.parametrize(
    ("fields", "axes"),
    [({"layout": "NCHW"}, (2, 0, 1)), ({"channels": "BGR"}, None), ({"layout": "NCHW", "channels": "BGR"}, (2, 0, 1))],
)
def test_layouts_and_channels(save: Save, pattern: Any, fields: dict[str, Any], axes: Any) -> None:
    expected = np.asarray(pattern)[..., ::-1] if "channels" in fields else np.asarray(pattern)
    array = apply(make(**fields), save(pattern, "PNG"))

    assert array.flags["C_CONTIGUOUS"]
    assert np.array_equal(array[0], expected.transpose(axes) if axes else expected)


def test_grey_and_flat_pictures(save: Save, pattern: Any) -> None:
    grey = np.asarray(pattern.convert("L"))
    data = save(pattern, "PNG")

    assert same(apply(make(layout="NHW", channels="grey"), data)[0], grey)
    assert same(apply(make(channels="grey"), data)[0], grey[..., None])
    assert same(apply(make(layout="flat"), data)[0], np.asarray(pattern).reshape(-1))


@pytest.mark.parametrize("fields", [{}, {"layout": "NCHW"}, {"channels": "BGR", "scale": 0.5, "mean": (1, 2, 3)}])
def test_resized_pictures_are_finished_alike(save: Save, pattern: Any, fields: dict[str, Any]) -> None:
    adapter = make(**fields)
    finished = adapter.finish(np.asarray(pattern)[None])

    assert same(finished["x"], apply(adapter, save(pattern, "PNG")))


@pytest.mark.framework
@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("tf", {"scale": 1 / 127.5, "mean": (1.0,)}),
        ("torch", {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}),
        ("caffe", {"channels": "BGR", "mean": (103.939, 116.779, 123.68)}),
    ],
)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_preprocess_input_of_keras(
    photographs: dict[str, bytes], keras: Any, mode: str, fields: dict[str, Any], layout: str
) -> None:
    """The modes of `keras.applications.*.preprocess_input`, bit for bit."""
    from keras.src.applications.imagenet_utils import preprocess_input

    pixels = keras.utils.img_to_array(
        keras.utils.load_img(BytesIO(photographs["china"]), target_size=(30, 40), interpolation="bilinear")
    )
    expected = preprocess_input(pixels, "channels_last", mode)
    array = apply(make(layout=layout, **fields), photographs["china"])[0]

    assert np.array_equal(array if layout == "NHWC" else array.transpose(1, 2, 0), expected)


def test_scaling_is_a_division_in_single_precision(save: Save, pattern: Any) -> None:
    array = apply(make(scale=1 / 255), save(pattern, "PNG"))
    pixels = np.asarray(pattern, np.float32)

    assert np.array_equal(array[0], pixels / np.float32(255))
    assert np.abs(array[0] - pixels * np.float32(1 / 255)).max() <= 2**-24  # as Rescaling(1 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_pictures_are_turned_upright(save: Save, pattern: Any, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(pattern, kind, exif=exif)
    opened = Image.open(BytesIO(data))

    upright = ImageOps.exif_transpose(opened).resize((40, 30), Image.Resampling.BILINEAR)
    assert same(apply(make(), data)[0], upright)
    assert same(apply(make(orientation="ignore"), data)[0], opened)


def test_transparent_pixels(save: Save) -> None:
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:, :20, 3] = 255
    data = save(Image.fromarray(pixels), "PNG")

    for alpha, behind in (("drop", (200, 0, 0)), ("white", (255, 255, 255)), ("black", (0, 0, 0))):
        array = apply(make(alpha=alpha), data)[0]
        assert np.all(array[:, :20] == (200, 0, 0))
        assert np.all(array[:, 20:] == behind)
    assert same(apply(make(channels="RGBA"), data)[0], pixels)


def test_palettes_and_single_transparent_colours(save: Save, pattern: Any) -> None:
    palette = pattern.quantize(16)
    black = Image.new("L", (40, 30))
    files = [
        save(palette, "PNG", transparency=0),
        save(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        save(black, "PNG", transparency=0),
        save(black.convert("LA"), "PNG"),
        save(black.convert("1"), "PNG"),
    ]
    for data in files:
        opened = Image.open(BytesIO(data)).convert("RGBA")
        behind = Image.new("RGB", opened.size, "white")
        behind.paste(opened, mask=opened)
        assert same(apply(make(), data)[0], opened.convert("RGB"))
        assert same(apply(make(alpha="white"), data)[0], behind)


def test_colours_for_printing(save: Save, pattern: Any) -> None:
    data = save(pattern.convert("CMYK"), "JPEG")

    assert same(apply(make(), data)[0], Image.open(BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(
    ("fields", "datatype", "shape", "field"),
    [
        ({"input": "y"}, "FP32", (-1, 30, 40, 3), "input"),
        ({"name": "x"}, "FP32", (-1, 30, 40, 3), "name"),
        ({"height": 31}, "FP32", (-1, 30, 40, 3), "layout"),
        ({"layout": "NCHW"}, "FP32", (-1, 30, 40, 3), "layout"),
        ({"layout": "NHW"}, "FP32", (-1, 30, 40), "layout"),
        ({"channels": "grey"}, "FP32", (-1, 30, 40, 3), "layout"),
        ({}, "BYTES", (-1, 30, 40, 3), "input"),
        ({}, "INT8", (-1, 30, 40, 3), "input"),
        ({"mean": (1.0, 2.0)}, "FP32", (-1, 30, 40, 3), "mean"),
        ({"std": (1.0, 0.0, 1.0)}, "FP32", (-1, 30, 40, 3), "std"),
        ({"scale": 0.5}, "UINT8", (-1, 30, 40, 3), "scale"),
        ({"filter": "tf-bilinear"}, "UINT8", (-1, 30, 40, 3), "filter"),
        ({"shorter": 50}, "FP32", (-1, 30, 40, 3), "shorter"),
        ({"fit": "shorter"}, "FP32", (-1, 30, 40, 3), "shorter"),
        ({"fit": "shorter", "shorter": 39}, "FP32", (-1, 30, 40, 3), "shorter"),
        ({"fit": "shorter", "shorter": 40, "filter": "tf-nearest"}, "FP32", (-1, 30, 40, 3), "filter"),
    ],
)
def test_says_which_field_does_not_fit(fields: dict[str, Any], datatype: Any, shape: Any, field: str) -> None:
    declaration, inputs = declare(**fields), (Tensor("x", datatype, shape),)

    with pytest.raises(InvalidContract) as caught:
        check(declaration, CONTRACT._replace(inputs=inputs))
    assert caught.value.field == f"adapter.{field}"
    with pytest.raises(InvalidContract):
        load(declaration, inputs, Path())


def test_variable_sizes_fit() -> None:
    assert find_problem(declare(), (Tensor("x", "FP32", (-1, -1, -1, 3)),)) is None
    assert find_problem(declare(), (Tensor("x", "FP32", (1, 30, 40, 3)),)) is None


def test_the_name_of_pictures() -> None:
    assert make().input == Tensor("image", "BYTES", (-1,))
    assert make(name="photo").input == Tensor("photo", "BYTES", (-1,))
    called_image = load(declare(input="image"), (Tensor("image", "FP32", (-1, 30, 40, 3)),), Path())
    assert called_image.input == Tensor("picture", "BYTES", (-1,))


def test_without_inputs_it_makes_numbers_of_single_precision(save: Save, pattern: Any) -> None:
    array = apply(load(declare(), (), Path()), save(pattern, "PNG"))

    assert array.shape == (1, 30, 40, 3)
    assert array.dtype == np.float32


def test_the_error_names_the_picture(save: Save, pattern: Any) -> None:
    adapter, good = make(max_pixels=1200), save(pattern, "PNG")
    large = save(pattern.resize((41, 30)), "PNG")

    for bad, problem in (
        (b"GIF89a", "expected a JPEG, PNG, WebP or BMP file, got a GIF file"),
        ("a text", "expected the content of a file, got str"),
        (large, "41 x 30 pixels are more than the 1200 that are decoded; send a smaller picture"),
    ):
        for ask in (adapter.apply, adapter.estimate):
            with pytest.raises(InvalidRow) as caught:
                ask([good, bad])  # type: ignore[list-item]
            assert (caught.value.what, caught.value.row, caught.value.problem) == ("picture", 1, problem)
    with pytest.raises(InvalidRow, match="picture 1: the PNG file is damaged"):
        adapter.apply([good, good[:100] + bytes(len(good))])


def test_a_model_of_one_picture_at_once_gets_one(save: Save, pattern: Any) -> None:
    adapter = load(declare(), (Tensor("x", "FP32", (1, 30, 40, 3)),), Path())
    data = save(pattern, "PNG")

    assert apply(adapter, data).shape == (1, 30, 40, 3)
    with pytest.raises(InvalidRow, match="the model takes 1 at once, got 2"):
        adapter.apply([data, data])


def test_small_pictures_are_not_long(save: Save, pattern: Any) -> None:
    small, large = save(pattern, "JPEG"), save(pattern.resize((640, 480)), "JPEG")
    adapter = make()

    assert not adapter.estimate([small]).is_long
    assert adapter.estimate([small] * 100).is_long
    assert adapter.estimate([large]).is_long


def test_a_thin_picture_whose_side_would_be_huge_is_refused(save: Save) -> None:
    adapter = make(fit="shorter", shorter=256, filter="bilinear")

    with pytest.raises(InvalidRow, match="more than the 25000000"):
        adapter.estimate([save(Image.new("L", (1, 60_000)), "PNG")])


@pytest.mark.process
@pytest.mark.parametrize(
    ("kind", "options", "fields"),
    [
        ("JPEG", {}, {}),
        ("JPEG", {"progressive": True, "subsampling": 0}, {}),
        ("JPEG", {}, {"channels": "grey", "layout": "NHW"}),
        ("JPEG", {}, {"filter": "tf-bilinear"}),
        ("PNG", {}, {"alpha": "white"}),
        ("WebP", {"quality": 50}, {}),
        ("BMP", {}, {}),
    ],
)
def test_takes_no_more_memory_than_estimated(
    save: Save, tmp_path: Path, kind: str, options: dict[str, Any], fields: dict[str, Any]
) -> None:
    y, x = np.mgrid[0:2000, 0:2000]
    alpha = "alpha" in fields
    picture = Image.fromarray(
        np.stack([x % 251, y % 241, x * y % 256, x % 199][: 4 if alpha else 3], 2).astype(np.uint8)
    )
    path = tmp_path / "picture"
    path.write_bytes(save(picture, kind, **options))
    code = """
import json, sys
from pathlib import Path
from snooze.bundle.adapters.image import Declaration, load
def status(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) * 1024
adapter = load(Declaration(**json.loads(sys.argv[2])), (), Path())
row = Path(sys.argv[1]).read_bytes()
import PIL.JpegImagePlugin, PIL.PngImagePlugin, PIL.WebPImagePlugin, PIL.BmpImagePlugin
adapter.apply(adapter.draw(1))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
adapter.apply([row])
print(status("VmHWM") - before, adapter.estimate([row]).memory)
"""
    arguments = [sys.executable, "-c", code, str(path), json.dumps(declare(**fields)._asdict())]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    took, estimated = map(int, done.stdout.split())

    assert took < estimated + 2**20
    assert estimated < 4 * took + 2**22


def test_drawn_pictures_are_the_same_each_time() -> None:
    for fields in ({}, {"height": 1000, "width": 500}, {"height": 1, "width": 1}):
        adapter = make(**fields)
        pictures = adapter.draw(3)

        assert pictures == adapter.draw(3)
        assert len(set(pictures)) == 3
        assert len(apply(adapter, *pictures)) == 3


def test_golden_rows_are_files(save: Save, pattern: Any) -> None:
    data = save(pattern, "PNG")

    assert make().unpack(make().pack(data)) == data


def test_the_tolerance_is_two_steps() -> None:
    assert make().tolerance == 2
    assert make(scale=1 / 255, std=(0.5, 0.25, 0.5)).tolerance == pytest.approx(2 / 255 / 0.25)


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PIL.Image")
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(MissingExtra) as caught:
        make()
    assert (caught.value.module, caught.value.extra) == ("PIL", "image")

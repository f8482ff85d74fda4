"""The adapter for a folder of pictures, found by models that were trained on pictures scaled in a known way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snooze.bundle.adapters.image import Declaration, find_problem
from snooze.bundle.codec import decode
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.evidence import read_evidence
from snooze.bundle.rows.pictures import read_folder
from snooze.bundle.rows.reading import Rows, read
from snooze.bundle.samples import read_samples
from snooze.convert import convert
from snooze.convert.adapters.image import _check_order, find_image
from snooze.convert.frameworks.interface import Framework, Input, Inputs
from snooze.convert.frameworks.registry import find

pytestmark = pytest.mark.framework


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright red and bright blue pictures of 20 x 12 pixels, 30 of each, as JPEG and PNG files."""
    folder, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(7)
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / name).mkdir()
        for number in range(30):
            pixels = generator.integers(0, 60, (12, 20, 3), np.uint8)
            pixels[..., channel] += np.uint8(100 + 3 * number)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.{'jpg' if number % 2 else 'png'}")
    return folder


def make_network(keras: Any, low: float, high: float, channels: str = "RGB", rescale: bool = False) -> Any:
    """Return a network that tells red from blue, in pictures whose values are from `low` to `high`."""
    image = keras.Input((12, 20, 3), name="pixels")
    layer = keras.layers.Rescaling(1 / 255)(image) if rescale else image
    means = keras.layers.GlobalAveragePooling2D()(layer)
    scores = keras.layers.Dense(2, name="mean")(means)
    model = keras.Model(image, keras.layers.Softmax()(scores))
    span = 1.0 if rescale else high - low
    weights = np.zeros((3, 2), np.float32)
    red, blue = (0, 2) if channels == "RGB" else (2, 0)
    weights[blue], weights[red] = (20 / span, 0), (0, 20 / span)
    model.get_layer("mean").set_weights([weights, np.zeros(2, np.float32)])
    return model


def inputs(*shape: int, datatype: Any = "FP32") -> Inputs:
    return (Input(Tensor("x", datatype, shape)),)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1, 12, 20, 3), ("NHWC", "RGB", 12, 20)),
        ((-1, 24, 24, 1), ("NHWC", "grey", 24, 24)),
        ((-1, 3, 24, 32), ("NCHW", "RGB", 24, 32)),
        ((-1, 1, 24, 32), ("NCHW", "grey", 24, 32)),
        ((-1, 24, 32), ("NHW", "grey", 24, 32)),
        ((-1, 720), ("flat", "RGB", 12, 20)),
        ((-1, 240), ("flat", "grey", 12, 20)),
        ((-1, 784), ("flat", "grey", 28, 28)),
        ((-1, 192), ("flat", "RGB", 8, 8)),
        ((-1, -1, -1, 3), ("NHWC", "RGB", 12, 20)),
    ],
)
def test_the_shape_follows_from_the_input(folder: Path, shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    found = find_image(find("onnx"), None, inputs(*shape), Rows({}, None, read_folder(folder).pictures), None)

    assert found is not None
    declared = found.declaration
    assert (declared.layout, declared.channels, declared.height, declared.width) == expected
    assert find_problem(declared, [one.tensor for one in inputs(*shape)]) is None
    assert "are assumed to be" in found.notes[0]


@pytest.mark.parametrize(
    ("shape", "datatype"), [((-1, 13), "FP32"), ((-1, 5, 5, 5), "FP32"), ((-1,), "FP32"), ((-1, 12, 20, 3), "BYTES")]
)
def test_other_inputs_are_not_pictures(folder: Path, shape: tuple[int, ...], datatype: str) -> None:
    rows = Rows({}, None, read_folder(folder).pictures)

    assert find_image(find("onnx"), None, inputs(*shape, datatype=datatype), rows, None) is None


def test_integers_are_not_scaled(folder: Path) -> None:
    rows = Rows({}, None, read_folder(folder).pictures)
    found = find_image(find("tflite"), None, inputs(-1, 12, 20, 3, datatype="UINT8"), rows, None)

    assert found == (Declaration("image", "x", 12, 20, "NHWC", "RGB"), ())


@pytest.mark.parametrize(
    ("framework", "shape", "scale", "filter"),
    [
        ("keras", (-1, 12, 20, 3), 1 / 255, "tf-bilinear"),
        ("onnx", (-1, 3, 12, 20), 1 / 255, "bilinear"),
        ("sklearn", (-1, 720), 1.0, "bilinear"),
    ],
)
def test_without_labels_the_usual_is_assumed(
    keras: Any, folder: Path, framework: str, shape: tuple[int, ...], scale: float, filter: str
) -> None:
    model = make_network(keras, 0, 1)
    found = find_image(find(framework), model, inputs(*shape), Rows({}, None, read_folder(folder).pictures), None)

    assert found is not None
    assert (found.declaration.scale, found.declaration.filter) == (scale, filter)
    assert len(found.declaration.mean) == (3 if "NCHW" in found.declaration else 0)
    assert len(found.notes) == 1


def test_says_how_pictures_of_another_size_are_resized(folder: Path) -> None:
    rows = Rows({}, None, read_folder(folder).pictures)
    found = find_image(find("onnx"), None, inputs(-1, 3, 24, 24), rows, None)

    assert found is not None
    assert found.notes[1].startswith("the pictures are resized with bilinear, which is usual for onnx")


def test_a_network_that_scales_takes_values_up_to_255(keras: Any, folder: Path) -> None:
    framework: Framework = find("keras")
    found = find_image(
        framework,
        make_network(keras, 0, 255, rescale=True),
        inputs(-1, 12, 20, 3),
        Rows({}, None, read_folder(folder).pictures),
        None,
    )

    assert found is not None
    assert found.declaration.scale == 1


def test_the_order_of_channels_is_found_by_the_labels(keras: Any, folder: Path) -> None:
    framework = find("keras")
    for channels in ("RGB", "BGR"):
        model = make_network(keras, 0, 1, channels)
        found = find_image(framework, model, framework.signature(model, None), read(folder), None)

        assert found is not None
        assert found.declaration.channels == channels
        assert found.notes[0].startswith("the values of the pictures are 0 to")
        assert "1.000" in found.notes[0]
        assert "0.000" in found.notes[0]
        assert "about as good" in found.notes[1]  # whether they go up to 1 or 255 makes no difference to this network


def test_pictures_that_were_not_turned_in_training_are_not_turned(folder: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "red/00.png").save(tmp_path / "a.jpg", exif=exif)
    found = find_image(find("onnx"), None, inputs(-1, 3, 12, 20), read(tmp_path), None)

    assert found is not None
    assert found.declaration.orientation == "ignore"


def test_a_damaged_picture_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"GIF89a" + bytes(20))

    with pytest.raises(InvalidData) as caught:
        find_image(find("onnx"), None, inputs(-1, 3, 12, 20), read(tmp_path), None)
    assert str(caught.value) == f"{tmp_path}/a.jpg: expected a JPEG, PNG, WebP or BMP file, got a GIF file"


def test_folders_must_be_the_classes(keras: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red/0.png").write_bytes((folder / "red/00.png").read_bytes())

    with pytest.raises(InvalidData, match="name the model's classes in their order with --labels"):
        convert(make_network(keras, 0, 1), name="colours", target=tmp_path / "models", data=tmp_path)


def test_a_bundle_of_a_network_has_the_adapter_and_raw_golden_rows(keras: Any, folder: Path, tmp_path: Path) -> None:
    made = convert(make_network(keras, 0, 1), name="colours", target=tmp_path, data=folder, quantize="none")
    bundle = decode((made.folder / "bundle.json").read_bytes())
    evidence = read_evidence(bundle)

    assert bundle.labels == ("blue", "red")
    assert bundle.adapter is not None
    assert bundle.adapter["kind"] == "image"
    assert evidence.evaluation is not None
    assert evidence.evaluation.after == 1
    assert evidence.adapter is not None
    assert evidence.adapter.reference == "keras's own reading of the files"
    assert (evidence.adapter.data.rows, evidence.adapter.data.flips) == (60, 0)
    raw = [row for sample in read_samples(made.folder, bundle) for row in sample.raw or ()]
    assert set(raw) <= {path.read_bytes() for path in folder.rglob("*.*")}
    assert raw


def test_labels_of_the_user_may_be_more_than_the_folders(keras: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data/red").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"data/red/{number}.png").write_bytes((folder / f"red/0{2 * number}.png").read_bytes())

    made = convert(
        make_network(keras, 0, 1),
        name="colours",
        target=tmp_path / "models",
        data=tmp_path / "data",
        labels=("blue", "red"),
        quantize="none",
    )
    assert decode((made.folder / "bundle.json").read_bytes()).labels == ("blue", "red")


@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_scikit_learn_on_pixels(tmp_path: Path) -> None:
    """Handwritten digits of 8 x 8 pixels, and a logistic regression on their values from 0 to 255."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_digits(return_X_y=True)
    rows = np.minimum(rows * 16, 255)
    model = LogisticRegression(max_iter=20).fit(rows[:1000], labels[:1000])
    for number in range(1000, 1200):
        path = tmp_path / "data" / str(labels[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rows[number].reshape(8, 8).astype(np.uint8)).save(path)

    made = convert(model, name="digits", target=tmp_path / "models", data=tmp_path / "data", quantize="none")
    evidence = read_evidence(decode((made.folder / "bundle.json").read_bytes()))
    assert evidence.evaluation is not None
    assert evidence.evaluation.before == pytest.approx(model.score(rows[1000:1200], labels[1000:1200]))


def test_folders_in_another_order_than_the_classes_are_refused_with_the_order() -> None:
    truth = np.repeat([0, 1, 2], 40)
    wrong = np.where(np.arange(120) % 10 == 0, 0, (truth + 1) % 3)

    with pytest.raises(InvalidData) as caught:
        _check_order(("bag", "coat", "shirt"), [np.zeros(120, np.int64), wrong], truth)

    assert caught.value.problem.endswith("with --labels, probably shirt,bag,coat")


@pytest.mark.parametrize("shift", [0, 1])
def test_an_order_that_fits_about_as_well_is_not_suggested(shift: int) -> None:
    truth = np.repeat([0, 1, 2], 40)
    unsure = np.where(np.arange(120) % 5 < 3, (truth + shift) % 3, (truth + 1 - shift) % 3)

    _check_order(("bag", "coat", "shirt"), [truth, unsure], truth)
    _check_order(("bag", "coat", "shirt"), [np.random.default_rng(7).integers(0, 3, 120)], truth)

"""
The adapter for a folder of pictures: size, layout and channels from the model's input, the rest by the labels.

Nothing in most models says how their pictures were scaled. With labels, the usual ways are tried on some of the
pictures, and the one with which the original is right most often wins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isqrt, sqrt
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from snooze.bundle.adapters import picture
from snooze.bundle.adapters.image import COUNTS, FLOATS, Channels, Declaration, ImageAdapter, Layout, load
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData, InvalidRow
from snooze.bundle.rows.pictures import Pictures
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Array, Case, run_in_parts
from snooze.convert.checks.score import targets
from snooze.convert.frameworks.interface import Framework, Hints, Inputs, Names, Original

TENSORFLOW: Final = ("keras", "tensorflow", "tflite")  # whose users resize with tf.image.resize
SAMPLE: Final = 256  # pictures on which the ways to scale are tried
SAMPLE_BYTES: Final = 64 * 2**20
DEFAULT_SIDE: Final = 224  # pixels where the model takes any size
MIN_VALUES: Final = 16  # of the smallest picture that a model of rows of numbers may take
EXAMPLES: Final = 16  # pictures whose sizes are looked at there
CHANNELS: Final[dict[int, Channels]] = {1: "grey", 3: "RGB", 4: "RGBA"}
ADVICE: Final = "if that is wrong, give the adapter with --adapter"
UNKNOWN: Final = "the values of the pictures are assumed to be {}, for there are no classes to try it on; " + ADVICE
RESIZED: Final = "the pictures are resized with {}, which is usual for {}; " + ADVICE

T = TypeVar("T")
Fields = dict[str, Any]
RAW: Final[Fields] = {}
UNIT: Final[Fields] = {"scale": 1 / 255}
SYMMETRIC: Final[Fields] = {"scale": 1 / 127.5, "mean": (1.0,)}
IMAGENET: Final[Fields] = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CAFFE: Final[Fields] = {"channels": "BGR", "mean": (103.939, 116.779, 123.68)}
MNIST: Final[Fields] = {"scale": 1 / 255, "mean": (0.1307,), "std": (0.3081,)}
BGR: Final[Fields] = {"channels": "BGR"}
GREY_WAYS: Final = {"0 to 255": RAW, "0 to 1": UNIT, "-1 to 1": SYMMETRIC, "as for MNIST": MNIST}
COLOUR_WAYS: Final = {
    "0 to 255": RAW,
    "0 to 1": UNIT,
    "-1 to 1": SYMMETRIC,
    "as for ImageNet": IMAGENET,
    "0 to 255 in BGR": BGR,
    "0 to 1 in BGR": BGR | UNIT,
    "as in Caffe": CAFFE,
}


class Found(NamedTuple):
    """An adapter, and notes for the user about what was assumed."""

    declaration: Declaration
    notes: tuple[str, ...]


def find_image(framework: Framework, model: Any, inputs: Inputs, rows: Rows, names: Names) -> Found | None:
    """
    Return the adapter that makes the inputs of a model of the pictures in `rows`, None if it takes no pictures.

    `names` are those of the classes, if the user gave them.

    Raises:
        InvalidData: a picture cannot be read, or the folders are not the model's classes.
        MissingExtra: Pillow is not installed.
    """
    assert rows.raw is not None
    tensor = inputs[0].tensor
    if len(inputs) != 1 or inputs[0].axis != 0 or tensor.datatype in ("BOOL", "BYTES", "INT8"):
        return None
    base = _find_shape(tensor, rows.raw)
    if base is None:
        return None
    sample = np.unique(np.linspace(0, len(rows.raw) - 1, SAMPLE).astype(np.int64))
    # No framework turns pictures by itself, so a model that was trained on such files has seen them as they are stored.
    if any(_read(picture.read_orientation, rows.raw, place) != 1 for place in sample[::4]):
        base = base._replace(orientation="ignore")
    if tensor.datatype not in FLOATS:
        return Found(base, ())
    if framework.name in TENSORFLOW:
        base = base._replace(filter="tf-bilinear")
    sizes = {_read(picture.read_header, rows.raw, place)[1:3] for place in sample[::4]}
    resized = () if sizes == {(base.width, base.height)} else (RESIZED.format(base.filter, framework.name),)
    usual = _find_usual(framework, model, base)
    ways = COLOUR_WAYS if COUNTS[base.channels] == 3 else GREY_WAYS
    judged = _judge(framework, model, inputs, rows, names, base, ways, sample)
    way, notes = _decide(judged, usual) if judged else (usual, (UNKNOWN.format(usual),))
    return Found(base._replace(**ways[way]), (*notes, *resized))


def name_classes(original: Original, rows: Rows | None, names: Names) -> Names:
    """
    Return the names of the classes: those that the user gave, else those of the folders if the model has only numbers.

    Raises InvalidData if there is not one folder for each class.
    """
    if names is not None or rows is None or rows.classes is None or original.classes is None:
        return names
    if len(rows.classes) != len(original.classes):
        problem = f"there are pictures in {len(rows.classes)} subfolders, but the model has {len(original.classes)}"
        raise InvalidData("--data", f"{problem} classes; name the model's classes in their order with --labels")
    return rows.classes if original.classes == tuple(range(len(rows.classes))) else None


def answer_pictures(framework: Framework, original: Original, declaration: Declaration) -> Original:
    """Return the original with its framework's own way from a picture to an answer, if it has one."""
    read = framework.picture_reader(declaration)
    if read is None:
        return replace(original, answer_raw=None)

    def answer(rows: Sequence[bytes]) -> dict[str, Array]:
        case = Case({declaration.input: read(rows)}, {declaration.input: 0})
        return run_in_parts(case, original.run, axes=original.axes).tensors

    return replace(original, answer_raw=answer, raw_reference=f"{framework.name}'s own reading of the files")


def _find_shape(tensor: Tensor, pictures: Sequence[bytes]) -> Declaration | None:
    """Return size, layout and channels for an input, None if it does not take pictures."""
    shape = tensor.shape
    layout: Layout
    if len(shape) == 4 and shape[3] in CHANNELS:
        layout, (height, width, count) = "NHWC", shape[1:]
    elif len(shape) == 4 and shape[1] in CHANNELS:
        layout, (count, height, width) = "NCHW", shape[1:]
    elif len(shape) == 3:
        layout, (height, width), count = "NHW", shape[1:], 1
    elif len(shape) == 2 and shape[1] >= MIN_VALUES and (size := _find_flat_size(shape[1], pictures)):
        layout, (height, width, count) = "flat", size
    else:
        return None
    if -1 in (height, width):
        sizes = {_read(picture.read_header, pictures, place)[1:3] for place in range(min(len(pictures), EXAMPLES))}
        width, height = sizes.pop() if len(sizes) == 1 else (DEFAULT_SIDE, DEFAULT_SIDE)
    return Declaration("image", tensor.name, height, width, layout, CHANNELS[count])


def _find_flat_size(values: int, pictures: Sequence[bytes]) -> tuple[int, int, int] | None:
    """Return height, width and channels of pictures with so many values: those of the first one, else of a square."""
    header = _read(picture.read_header, pictures, 0)
    for count in (1, 3):
        if header.pixels * count == values:
            return header.height, header.width, count
        side = isqrt(values // count)
        if side * side * count == values:
            return side, side, count
    return None


def _read(read: Callable[[bytes], T], pictures: Sequence[bytes], place: int) -> T:
    """Return what a function reads from a picture. Raises InvalidData, which names the file."""
    try:
        return read(pictures[place])
    except (ValueError, InvalidRow) as error:
        where = str(pictures.paths[place]) if isinstance(pictures, Pictures) else f"picture {place}"
        raise InvalidData(where, error.problem if isinstance(error, InvalidRow) else str(error)) from None


def _find_usual(framework: Framework, model: Any, base: Declaration) -> str:
    """Return how the values of pictures are usually scaled for such a model."""
    if framework.scales_pictures(model) or base.layout == "flat":
        return "0 to 255"
    return "as for ImageNet" if base.layout == "NCHW" and COUNTS[base.channels] == 3 else "0 to 1"


def _judge(
    framework: Framework,
    model: Any,
    inputs: Inputs,
    rows: Rows,
    names: Names,
    base: Declaration,
    ways: Mapping[str, Fields],
    sample: Array,
) -> dict[str, Array]:
    """Return for each way which pictures of the sample the model classifies rightly; nothing if that cannot be told."""
    pictures = rows.raw
    if rows.labels is None or pictures is None:
        return {}
    original = framework.describe(model, inputs, Hints(rows.labels, names or rows.classes))
    known = name_classes(original, rows, names)
    truth = targets(original, rows.labels, known)
    if truth is None or original.task != "classification":
        return {}
    tensor = inputs[0].tensor
    most = max(1, SAMPLE_BYTES // (4 * base.height * base.width * COUNTS[base.channels]))
    sample = sample[:: -(-len(sample) // most)]
    reader = load(base._replace(layout="NHWC"), (), Path())
    pixels = np.concatenate([_read(lambda row: reader.apply([row])[tensor.name], pictures, place) for place in sample])
    judged = {}
    predicted = []
    for way, fields in ways.items():
        made = ImageAdapter(base._replace(**fields), tensor).finish(pixels)
        answers = run_in_parts(Case(made, {tensor.name: 0}), original.run, axes=original.axes)
        found = original.classify([answers])
        if found is None:
            return {}
        judged[way] = found == truth[sample]
        predicted.append(found)
    if names is None and known is not None:  # those of the folders
        _check_order(known, predicted, truth[sample])
    return judged


def _check_order(folders: Sequence[str], predicted: Sequence[Array], truth: Array) -> None:
    """
    Check that the folders are in the order of the model's classes; for each way it has predicted some numbers.

    Raises:
        InvalidData: in another order they would fit far better, which it names.
    """
    count = len(folders)
    best = max(float((found == truth).mean()) for found in predicted)
    for found in predicted:
        table = np.zeros((count, count), np.int64)
        np.add.at(table, (truth, found), 1)
        order = table.argmax(axis=1)  # the number of the class that the pictures of each folder mostly get
        right = order[truth] == found
        if sorted(order) == list(range(count)) and right.mean() > best and not _is_close(found == truth, right):
            names = ",".join(folders[place] for place in np.argsort(order))
            problem = "the pictures fit the model's classes better in another order than that of the folders' names"
            raise InvalidData("--data", f"{problem}; name the classes in their order with --labels, probably {names}")


def _decide(judged: Mapping[str, Array], usual: str) -> tuple[str, tuple[str, ...]]:
    """Return the best way, the usual one if it is about as good, and notes with all scores."""
    best = max(judged, key=lambda way: float(judged[way].mean()))
    if _is_close(judged[usual], judged[best]):
        best = usual
    scores = ", ".join(f"{way} {float(right.mean()):.3f}" for way, right in judged.items())
    count = len(judged[best])
    notes = [f"the values of the pictures are {best}, by the accuracy of the model on {count} of them: {scores}"]
    close = [way for way, right in judged.items() if way != best and _is_close(right, judged[best])]
    if close:
        notes.append(f"on the pictures, {' and '.join(close)} is about as good as {best}; {ADVICE}")
    return best, tuple(notes)


def _is_close(right: Array, best: Array) -> bool:
    """Return whether one way may be as good as another: McNemar's test, two standard deviations."""
    lost, won = np.count_nonzero(best & ~right), np.count_nonzero(right & ~best)
    return bool(lost - won <= 2 * sqrt(lost + won))

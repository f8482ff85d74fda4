"""
Pictures as inputs of a model.

A raw row is the content of a JPEG, PNG, WebP or BMP file. Other formats are refused, and so are pictures with more
pixels than the declaration allows, before any of them is decoded. Of an animation the first picture counts. Colour
profiles are not applied, for neither Pillow nor Keras do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.adapters import picture, resizing
from snooze.bundle.adapters.interface import SEED, Array, Arrays, Estimate
from snooze.bundle.contract import Bundle, Length, Range, Tensor, TensorName
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidContract, InvalidRow

Side = Annotated[int, Range(1, 16384)]
Channels = Literal["RGB", "BGR", "RGBA", "grey"]
Layout = Literal["NHWC", "NCHW", "NHW", "flat"]

COUNTS: Final[dict[Channels, int]] = {"RGB": 3, "BGR": 3, "RGBA": 4, "grey": 1}
MODES: Final[dict[Channels, str]] = {"RGB": "RGB", "BGR": "RGB", "RGBA": "RGBA", "grey": "L"}  # of Pillow
FLOATS: Final = ("FP16", "FP32", "FP64")
EXACT_FILTERS: Final = (*resizing.PILLOW, "tf-nearest")  # whose values are integers
TRANSPOSITIONS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # by EXIF orientation: numbers of Pillow's Transpose
SHORT: Final = 32_768  # bytes and pixels that take less time than handing them to a thread
CONVERTING: Final = 8  # bytes for each pixel while a picture is turned, or converted to another mode
MAX_DRAWN: Final = 256  # pixels of a side
STEPS: Final = 2  # of 255 that a decoder on another machine may differ by


class Declaration(NamedTuple):
    """
    A picture is decoded and turned upright, gets the model's channels, is resized, and then its values are scaled.

    Each value from 0 to 255 becomes `(value * scale - mean) / std`, rounded to single precision after each step.
    """

    kind: Literal["image"]  # the kind of the adapter
    input: TensorName  # the model's input
    height: Side  # pixels
    width: Side  # pixels
    layout: Layout  # the order of the input's dimensions; flat: all values of a picture in one, in the order of NHWC
    channels: Channels  # the order of the channels; grey is Pillow's L
    filter: resizing.Filter = "bilinear"  # Pillow's filters, and after tf- those of tf.image.resize
    fit: resizing.Fit = "stretch"  # crop: the largest middle part of the right ratio; shorter: see there
    shorter: Side | None = None  # pixels that the shorter side is resized to before the middle is cut out
    scale: float = 1.0  # what the values from 0 to 255 are multiplied by
    mean: Annotated[tuple[float, ...], Length(0, 4)] = ()  # what is subtracted then, once or for each channel
    std: Annotated[tuple[float, ...], Length(0, 4)] = ()  # what they are divided by then, once or for each channel
    orientation: Literal["exif", "ignore"] = "exif"  # exif: turn pictures upright as their EXIF data says
    alpha: Literal["drop", "white", "black"] = "drop"  # what is behind transparent pixels; drop: their stored colour
    max_pixels: Annotated[int, Range(1, 100_000_000)] = 25_000_000  # of a picture that is decoded
    name: TensorName | None = None  # what V1 and V2 call pictures; null: image, or picture if the input is called image


def check(declaration: Declaration, bundle: Bundle) -> None:
    """Check that the model takes such pictures. Raises InvalidContract."""
    _check(declaration, bundle.inputs)


def _check(declaration: Declaration, inputs: Sequence[Tensor]) -> None:
    problem = find_problem(declaration, inputs)
    if problem is not None:
        raise InvalidContract(f"adapter.{problem[0]}", problem[1])


def find_problem(declaration: Declaration, inputs: Sequence[Tensor]) -> tuple[str, str] | None:
    """Return the first field that does not fit the others or a model with such inputs, and what is wrong with it."""
    if [tensor.name for tensor in inputs] != [declaration.input]:
        names = ", ".join(tensor.name for tensor in inputs)
        return "input", f"expected the name of the model's only input, got '{declaration.input}' of {names}"
    if declaration.name == declaration.input:
        return "name", "expected another name than that of the model's input"
    tensor, count = inputs[0], COUNTS[declaration.channels]
    if declaration.layout == "NHW" and count > 1:
        return "layout", "NHW has no dimension for channels; they must be grey"
    expected = (-1, *_shape(declaration))
    if len(tensor.shape) != len(expected) or any(
        size not in (-1, wanted) for size, wanted in zip(tensor.shape[1:], expected[1:], strict=True)
    ):
        return "layout", f"gives {list(expected)}, the model's input is {list(tensor.shape)}"
    if tensor.datatype in ("BOOL", "BYTES", "INT8"):
        return "input", f"has datatype {tensor.datatype}, which cannot hold the values of pictures"
    for field, values in (("mean", declaration.mean), ("std", declaration.std)):
        if len(values) not in (0, 1, count):
            return field, f"expected 0, 1 or {count} values, got {len(values)}"
    if not all(value > 0 for value in declaration.std):
        return "std", "expected positive numbers"
    scaled = declaration.scale != 1 or declaration.mean or declaration.std
    if tensor.datatype not in FLOATS and (scaled or declaration.filter not in EXACT_FILTERS):
        return "scale" if scaled else "filter", f"gives fractions, the model's input has datatype {tensor.datatype}"
    return _find_problem_of_fit(declaration)


def _find_problem_of_fit(declaration: Declaration) -> tuple[str, str] | None:
    if (declaration.fit == "shorter") != (declaration.shorter is not None):
        return "shorter", "is needed for the fit shorter, and only allowed there"
    if declaration.shorter is not None:
        if declaration.shorter < max(declaration.height, declaration.width):
            return "shorter", "expected at least the height and the width"
        if declaration.filter not in resizing.PILLOW:
            return "filter", f"the fit shorter is torchvision's; expected one of {', '.join(resizing.PILLOW)}"
    return None


def load(declaration: Declaration, inputs: Sequence[Tensor], folder: Path) -> "ImageAdapter":
    """Return the adapter, with Pillow imported. Raises MissingExtra, InvalidContract (it does not fit the inputs)."""
    inputs = inputs or (Tensor(declaration.input, "FP32", (-1, *_shape(declaration))),)
    _check(declaration, inputs)
    picture.import_pillow()
    return ImageAdapter(declaration, inputs[0])


class ImageAdapter:
    """Takes pictures: `bytes`."""

    kind = "image"
    files: tuple[Path, ...] = ()

    def __init__(self, declaration: Declaration, tensor: Tensor) -> None:
        self.declaration = declaration
        self.input = Tensor(declaration.name or ("picture" if tensor.name == "image" else "image"), "BYTES", (-1,))
        self.tolerance = STEPS * abs(declaration.scale) / min(declaration.std, default=1.0)
        self._tensor = tensor
        self._dtype = DATATYPES[tensor.datatype]
        self._target = resizing.Target(
            declaration.width, declaration.height, declaration.filter, declaration.fit, declaration.shorter
        )
        self._channels = COUNTS[declaration.channels]
        # In the precision in which frameworks scale.
        self._float = np.dtype(np.float64 if self._dtype == np.float64 else np.float32)
        self._mean, self._std = np.array(declaration.mean, self._float), np.array(declaration.std, self._float)

    def estimate(self, rows: Sequence[bytes]) -> Estimate:
        """Return the memory for all inputs and the largest picture. Raises InvalidRow as `apply`, but for damage."""
        largest = work = 0
        made = self._dtype.itemsize * self._target.width * self._target.height * self._channels
        for number, row in enumerate(rows):
            header = self._look(number, row)
            work += len(row) + header.pixels + self._target.width * self._target.height
            resized = resizing.memory(header.width, header.height, self._target)
            largest = max(largest, header.memory + resized, CONVERTING * header.pixels + resized)
        return Estimate(made * (len(rows) + 2) + largest, work > SHORT)

    def apply(self, rows: Sequence[bytes]) -> Arrays:
        """Return the pictures as one array. Raises InvalidRow for what is no picture, too large or damaged."""
        most = self._tensor.shape[0]
        if most not in (-1, len(rows)):
            raise InvalidRow("picture", len(rows) - 1, f"the model takes {most} at once, got {len(rows)}")
        made = self._allocate(len(rows))
        for number, row in enumerate(rows):
            header = self._look(number, row)
            try:
                pixels = resizing.resize(self._prepare(picture.decode(row, header)), self._target)
            except ValueError as error:
                raise InvalidRow("picture", number, str(error)) from None
            made[number] = self._scale(pixels)
        return self._arrange(made)

    def finish(self, pixels: Array) -> Arrays:
        """Return the inputs for resized pictures: an array [rows, height, width, channels] in RGB or grey."""
        made = self._allocate(len(pixels))
        made[...] = self._scale(pixels)
        return self._arrange(made)

    def draw(self, count: int, seed: int = SEED) -> list[bytes]:
        """Return PNG files of a disc on a gradient, in the ratio of the model's pictures."""
        generator = np.random.default_rng(seed)
        factor = min(1.0, MAX_DRAWN / max(self._target.width, self._target.height))
        width, height = max(1, round(self._target.width * factor)), max(1, round(self._target.height * factor))
        return [picture.write_png(_draw(width, height, generator)) for _ in range(count)]

    def pack(self, row: bytes) -> bytes:
        """Return the file."""
        return row

    def unpack(self, data: bytes) -> bytes:
        """Return the file."""
        return data

    def _look(self, number: int, row: bytes) -> picture.Header:
        if type(row) is not bytes:
            raise InvalidRow("picture", number, f"expected the content of a file, got {type(row).__name__}")
        try:
            header = picture.read_header(row)
        except ValueError as error:
            raise InvalidRow("picture", number, str(error)) from None
        most = self.declaration.max_pixels
        width, height = resizing.enlarged(header.width, header.height, self._target)
        if max(header.pixels, width * height) > most:
            problem = f"{header.width} x {header.height} pixels are more than the {most} that are decoded"
            raise InvalidRow("picture", number, f"{problem}; send a smaller picture")
        return header

    def _prepare(self, image: Any) -> Any:
        """Return a decoded picture upright, and in the mode of the model's channels."""
        turn = TRANSPOSITIONS.get(image.info["orientation"]) if self.declaration.orientation == "exif" else None
        if turn is not None:
            image = image.transpose(turn)
        mode = MODES[self.declaration.channels]
        if self.declaration.alpha == "drop":
            if mode != "RGBA":
                image.info.pop("transparency", None)
        elif image.has_transparency_data:
            image = image if image.mode == "RGBA" else image.convert("RGBA")
            behind = picture.import_pillow().new("RGB", image.size, self.declaration.alpha)
            behind.paste(image, mask=image)
            image = behind
        return image if image.mode == mode else image.convert(mode)

    def _allocate(self, rows: int) -> Array:
        """Return an array for pictures, channels last, whose values lie in the order of the model's layout."""
        shape = (rows, self._target.height, self._target.width, self._channels)
        if self.declaration.layout == "NCHW":
            return np.empty((rows, *_shape(self.declaration)), self._dtype).transpose(0, 2, 3, 1)
        return np.empty(shape, self._dtype)

    def _arrange(self, made: Array) -> Arrays:
        if self.declaration.layout == "NCHW":
            return {self._tensor.name: made.transpose(0, 3, 1, 2)}
        return {self._tensor.name: made.reshape(len(made), *_shape(self.declaration))}

    def _scale(self, pixels: Array) -> Array:
        """Return the values of the model's input, with its order of channels, for those of pictures in RGB or grey."""
        if self.declaration.channels == "BGR":
            pixels = pixels[..., ::-1]
        if self._dtype.kind != "f":
            return pixels
        # The product of doubles, rounded once, is the same as a division by 255 in single precision.
        values: Array = np.multiply(pixels, self.declaration.scale, dtype=np.float64).astype(self._float)
        values = values - self._mean if self._mean.size else values
        return values / self._std if self._std.size else values


def _shape(declaration: Declaration) -> tuple[int, ...]:
    """Return the shape of one picture as the model takes it."""
    height, width, count = declaration.height, declaration.width, COUNTS[declaration.channels]
    return {
        "NHWC": (height, width, count),
        "NCHW": (count, height, width),
        "NHW": (height, width),
        "flat": (height * width * count,),
    }[declaration.layout]


def _draw(width: int, height: int, generator: Any) -> Array:
    y, x = np.mgrid[0:height, 0:width]
    share = ((x / width + y / height) / 2)[..., None]
    first, second, colour = generator.integers(0, 256, (3, 3))
    pixels = first + share * (second - first)
    row, column = generator.uniform(0.3, 0.7, 2)
    disc = np.hypot(x / width - column, y / height - row) < generator.uniform(0.15, 0.3)
    pixels[disc] = colour
    return np.asarray(pixels.astype(np.uint8))

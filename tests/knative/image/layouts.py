"""Server images as OCI layouts, small enough to be written by hand."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from snooze.knative.image.server_image import OCI_INDEX, OCI_MANIFEST

LABELS: Final = {"snooze.bundle-schema": "2", "snooze.extras": ""}
ROOT: Final = gzip.compress(b"the server", mtime=0)


def write_blob(folder: Path, data: bytes) -> dict[str, Any]:
    """Write a blob, and return its descriptor."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def write_image(
    folder: Path, labels: Mapping[str, str] | None = LABELS, architecture: str = "amd64", media_type: str = OCI_MANIFEST
) -> dict[str, Any]:
    """Write an image of one layer, and return the descriptor of its manifest."""
    config = {
        "created": "2026-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": {"User": "65532:65532", "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(b'the server').hexdigest()}"]},
        "history": [{"created_by": "COPY /rootfs /"}],
    }
    described = {"mediaType": media_type.replace("manifest.v1", "config.v1")}
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": described | write_blob(folder, json.dumps(config).encode()),
        "layers": [{"mediaType": "layer"} | write_blob(folder, ROOT)],
    }
    return {"mediaType": media_type} | write_blob(folder, json.dumps(manifest).encode())


def write_index(folder: Path, tags: Mapping[str, Mapping[str, Any]]) -> Path:
    """Make a folder with blobs a layout, with a tag for each descriptor."""
    entries = [{**one, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag, one in tags.items()]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def write_server(folder: Path, **image: Any) -> Path:
    """Write a layout with a server image that has the tag `1`."""
    return write_index(folder, {"1": write_image(folder, **image)})


def write_platforms(folder: Path, *architectures: str) -> Path:
    """Write a layout whose tag `1` is an index of images for several platforms."""
    entries = [
        write_image(folder, architecture=one) | {"platform": {"os": "linux", "architecture": one, "variant": "v8"}}
        for one in architectures
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return write_index(folder, {"1": {"mediaType": OCI_INDEX} | write_blob(folder, json.dumps(index).encode())})


def read_index(folder: Path) -> dict[str, str]:
    """Return the digest of each tag of a layout."""
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    return {one["annotations"]["org.opencontainers.image.ref.name"]: one["digest"] for one in entries}


def read_blob(folder: Path, digest: str) -> bytes:
    """Return a blob of a layout."""
    return (folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def list_files(folder: Path) -> list[str]:
    """Return the path of everything in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))

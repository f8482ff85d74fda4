"""An image without an engine: a server image, a layer of models, and the place for the result."""

import errno
import tempfile
from collections.abc import Sequence
from pathlib import Path

from snooze.bundle.store import Found, sha256
from snooze.knative.image import layer, skopeo
from snooze.knative.image.errors import InvalidImage, NotStored
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import OCI_MANIFEST, Image
from snooze.knative.image.skopeo import Registry


def add_models(server: Image, origin: Layout | Registry, bundles: Sequence[Found], target: Layout | Registry) -> Image:
    """
    Write the image `server`, which `origin` holds, with a layer of bundles to `target`, and return it.

    What `target` has already is not copied. A registry gets the tag last.

    Raises:
        InvalidImage: the server image has Docker's format, which a layout cannot hold.
        NotStored: there is no space for it, or no right to write it. Nothing is left behind.
        ProgramFailed, MissingProgram: a registry cannot be reached, or refuses.
    """
    if isinstance(target, Layout) and server.media_type != OCI_MANIFEST:
        problem = "it has Docker's format, and a layout holds OCI's; 'skopeo copy' to a layout converts it"
        raise InvalidImage(str(origin), problem)
    described = [(found.bundle, sha256(found.folder / "bundle.json")) for found in bundles]
    try:
        with tempfile.TemporaryDirectory(prefix="snooze-") as name:
            workspace = Path(name)
            draft = workspace / "layer"
            with draft.open("wb") as file:
                written = layer.write(bundles, file)
            blob = draft.rename(workspace / skopeo.hexadecimal(written.blob.digest))
            image = server.extend(written, described)
            if isinstance(target, Layout):
                target.write(image, [blob, *_find_blobs(server, origin, target, workspace / "server")])
            else:
                _push(image, blob, server, origin, target, workspace / "image")
            return image
    except OSError as error:
        raise NotStored(str(target), _describe(error)) from None


def _describe(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{error.strerror}, there or for temporary files in {tempfile.gettempdir()} (TMPDIR)"
    return f"{error.strerror}: {error.filename}" if error.filename else str(error)


def _find_blobs(server: Image, origin: Layout | Registry, target: Layout, folder: Path) -> list[Path]:
    """Return the files of the layers that a layout needs, pulled to a folder if it lacks one."""
    missing = [one for one in server.layers if not target.has(one)]
    if isinstance(origin, Layout):
        return [origin.locate(one.digest) for one in missing]
    if missing:
        origin.pin(server.digest).pull(folder)
    return [folder / skopeo.hexadecimal(one.digest) for one in missing]


def _push(image: Image, blob: Path, server: Image, origin: Layout | Registry, target: Registry, folder: Path) -> None:
    blobs = [blob]
    if isinstance(origin, Layout):
        blobs += [origin.locate(one.digest) for one in server.layers]
    else:
        # By its digest, without a tag: then the repository has all layers but the new one.
        target.pin(server.digest).take(origin.pin(server.digest))
    folder.mkdir()
    skopeo.write_folder(folder, image, blobs)
    target.push(folder)

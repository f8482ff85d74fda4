"""
An image as a registry or an OCI layout holds it, and what a server image must say to get a model layer.

Manifests and configurations come from registries and from folders of others: they are bounded, and checked against
their digests. (OCI image specification 1.1; Docker's image manifest, version 2, schema 2.)
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from snooze.bundle.contract import SCHEMA_VERSION, Bundle
from snooze.knative.image.errors import InvalidImage, UnfitImage

MAX_DOCUMENT_BYTES: Final = 4 * 2**20  # what registries accept as a manifest
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
LAYER_TYPES: Final = {
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
    DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
SCHEMA_LABEL: Final = "snooze.bundle-schema"
EXTRAS_LABEL: Final = "snooze.extras"
MODELS_LABEL: Final = "snooze.models"


class Descriptor(NamedTuple):
    """A blob: its digest, and its size in bytes."""

    digest: str
    size: int


class Layer(NamedTuple):
    """A compressed layer, and the digest of what it contains uncompressed."""

    blob: Descriptor
    diff_id: str


class Image(NamedTuple):
    """The manifest and the configuration of an image for one platform, and its compressed layers."""

    manifest: bytes
    config: bytes
    media_type: str
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest, by which a registry knows the image."""
        return compute_digest(self.manifest)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the configuration."""
        return json.loads(self.config)["config"].get("Labels") or {}

    def extend(self, layer: Layer, bundles: Iterable[tuple[Bundle, str]]) -> "Image":
        """Return this image with a layer of bundles, each given with the digest of its `bundle.json`."""
        bundles = list(bundles)
        created = max(bundle.created for bundle, _ in bundles)
        names = " ".join(f"{bundle.name}/{bundle.version}" for bundle, _ in bundles)
        config = json.loads(self.config)
        config["created"] = created
        config["config"]["Labels"] = {**self.labels, MODELS_LABEL: format_models(bundles)}
        config["rootfs"]["diff_ids"].append(layer.diff_id)
        if "history" in config:
            config["history"].append({"created": created, "created_by": f"snooze image {names}"})
        config_data = _serialize(config)
        manifest = json.loads(self.manifest)
        manifest["config"] |= {"digest": compute_digest(config_data), "size": len(config_data)}
        blob = {"mediaType": LAYER_TYPES[self.media_type], "digest": layer.blob.digest, "size": layer.blob.size}
        manifest["layers"].append(blob)
        return Image(_serialize(manifest), config_data, self.media_type, (*self.layers, layer.blob))


class Source(Protocol):
    """Where an image comes from: a registry or an OCI layout."""

    def read_manifest(self, digest: str | None = None) -> bytes:
        """Return the manifest or index of the image, or another one of the same repository by its digest."""

    def read_config(self, manifest: str, config: Descriptor) -> bytes:
        """Return the configuration of the image whose manifest has the digest `manifest`."""


def read(source: Source, platform: str) -> Image:
    """
    Return the image of a source; of an index the one for `platform`, such as `linux/arm64` or `linux/arm/v7`.

    Raises:
        InvalidImage: the image is damaged, or this version cannot read its format.
        UnfitImage: it is for another platform.
    """
    place = str(source)
    data = source.read_manifest()
    document = _parse(place, data)
    if "manifests" in document:
        digest = _choose(place, document, platform)
        data = _checked(place, source.read_manifest(digest), digest)
        document = _parse(place, data)
    media_type = document.get("mediaType", OCI_MANIFEST)
    if media_type not in tuple(LAYER_TYPES):  # it may be anything, also what has no hash
        raise InvalidImage(place, f"its manifest has the media type {str(media_type)[:100]!r}, which is not supported")
    described, layers = _descriptor(place, document.get("config")), document.get("layers")
    if not isinstance(layers, list):
        raise InvalidImage(place, "its manifest has no list of layers")
    config = _checked(place, source.read_config(compute_digest(data), described), described.digest)
    image = Image(data, config, media_type, tuple(_descriptor(place, layer) for layer in layers))
    _check_config(place, image, platform)
    return image


def check_serves(image: Image, name: str, bundles: Iterable[Bundle]) -> None:
    """
    Check by its labels that a server image can serve these bundles, and that it has no model yet.

    Raises:
        UnfitImage: it cannot, or it is no server image of Snooze.
    """
    labels = image.labels
    schema = labels.get(SCHEMA_LABEL)
    if schema is None:
        raise UnfitImage(name, f"it is no server image of Snooze: it has no label {SCHEMA_LABEL}")
    if schema != str(SCHEMA_VERSION):
        raise UnfitImage(name, f"it reads bundles of schema {schema[:20]!r}, and these have schema {SCHEMA_VERSION}")
    if labels.get(MODELS_LABEL, "[]") not in ("", "[]"):
        raise UnfitImage(name, f"it holds models already ({labels[MODELS_LABEL][:200]}); give one without a model")
    extras = labels.get(EXTRAS_LABEL, "").split()
    for bundle in bundles:
        if missing := [extra for extra in find_extras([bundle]) if extra not in extras]:
            problem = f"model '{bundle.name}' needs the extra {missing[0]!r}, and it has {' '.join(extras) or 'none'}"
            raise UnfitImage(name, problem)


def find_extras(bundles: Iterable[Bundle]) -> list[str]:
    """Return the extras of a server image that the adapters of bundles need, such as `image`."""
    found = set()
    for bundle in bundles:
        adapter = bundle.adapter or {}
        if adapter.get("kind") == "image":
            found.add("image")
        elif adapter.get("tokenizer") is not None:
            found.add("text")
    return sorted(found)


def format_models(bundles: Iterable[tuple[Bundle, str]]) -> str:
    """Return the label `snooze.models`: JSON with the name, the version and the digest of each bundle."""
    models = [{"name": bundle.name, "version": bundle.version, "bundle": digest} for bundle, digest in bundles]
    return json.dumps(models, separators=(",", ":"))


def compute_digest(data: bytes) -> str:
    """Return the digest of a document."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _serialize(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _parse(place: str, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidImage(place, "a document of it is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidImage(place, "a document of it is not a JSON object")
    return document


def _checked(place: str, data: bytes, digest: str) -> bytes:
    if compute_digest(data) != digest:
        raise InvalidImage(place, f"a document of it does not have its digest {digest}")
    return data


def _descriptor(place: str, value: object) -> Descriptor:
    match value:
        case {"digest": str(digest), "size": int(size)} if DIGEST.fullmatch(digest) and size >= 0:
            return Descriptor(digest, size)
    raise InvalidImage(place, f"expected a digest (sha256) and a size, got {str(value)[:100]!r}")


def _choose(place: str, index: Mapping[str, Any], platform: str) -> str:
    """Return the digest of the image for a platform."""
    available = []
    for entry in index["manifests"] if isinstance(index["manifests"], list) else ():
        match entry:
            case {"platform": {"os": str(system), "architecture": str(architecture), **rest}}:
                plain = f"{system}/{architecture}"
                if platform in (plain, f"{plain}/{rest.get('variant')}"):
                    return _descriptor(place, entry).digest
                available.append(plain)
    raise UnfitImage(place, f"it is not made for {platform}, only for: {', '.join(available)[:200] or 'no platform'}")


def _check_config(place: str, image: Image, platform: str) -> None:
    match _parse(place, image.config):
        case {
            "os": str(system),
            "architecture": str(architecture),
            "config": {**settings},
            "rootfs": {"diff_ids": list(contents)},
        } as config if len(contents) == len(image.layers) and isinstance(config.get("history", []), list):
            labels = settings.get("Labels") or {}
            if not (isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())):
                raise InvalidImage(place, "its labels are not texts")
            if not f"{platform}/".startswith(f"{system}/{architecture}/"):
                raise UnfitImage(place, f"it is made for {system}/{architecture}, not for {platform}; see --platform")
        case _:
            raise InvalidImage(place, "its configuration does not describe its platform and its layers")

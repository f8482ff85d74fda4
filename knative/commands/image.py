"""`snooze image`: options, output and exit codes."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from snooze.knative.image.engine import ENGINES

if TYPE_CHECKING:
    from snooze.bundle.store import Found
    from snooze.knative.image.server_image import Image

PLATFORM: Final = "linux/amd64"
WITH_ENGINE: Final[Sequence[str]] = ("--engine", "--extras", "--base", "--build-arg", "--engine-flag")
WITHOUT_ENGINE: Final[Sequence[str]] = ("--platform", "--authfile", "--insecure")
IMAGE_EXAMPLES: Final = """\
examples:
  snooze image models/tumour --tag registry.example.com/tumour:1
      build an image with podman, buildah or docker
  snooze image --tag registry.example.com/snooze:1 --extras image,text
      build a server image without a model
  snooze image models/tumour --server-image registry.example.com/snooze:1 --tag registry.example.com/tumour:1
      add the model to a server image, without an engine
  snooze image models/tumour models/digits --server-image oci:server:1 --tag oci:images:both
      two models, on OCI layouts on disk

BUNDLE is a bundle, or a model's folder: its newest version. Exit codes: 0 done, 1 a golden sample or a program
failed, 2 the bundle, the image or the options are wrong."""


def image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze image`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = IMAGE_EXAMPLES
    parser.add_argument("bundle", type=Path, nargs="*", metavar="BUNDLE", help="bundles; none for a server image")
    tag = "the new image: REGISTRY/NAME:TAG, or oci:FOLDER:TAG without an engine"
    parser.add_argument("--tag", required=True, metavar="REF", help=tag)
    parser.add_argument("--no-verify", action="store_true", help="do not check the golden samples; hashes are checked")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    build = parser.add_argument_group("with an engine")
    build.add_argument("--engine", choices=ENGINES, help="the program that builds (the first one on the PATH)")
    extras = "libraries of adapters: image, text or image,text (those that the bundles need)"
    build.add_argument("--extras", type=_extras, metavar="NAMES", help=extras)
    build.add_argument("--base", metavar="IMAGE", help="an image with Python 3.13 and glibc (that of the Dockerfile)")
    argument = "a build argument of the Dockerfile, such as REVISION; may be repeated"
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help=argument)
    flag = "an option for the engine, such as --engine-flag=--network=host; may be repeated"
    build.add_argument("--engine-flag", action="append", default=[], metavar="FLAG", help=flag)
    layer = parser.add_argument_group("without an engine")
    layer.add_argument("--server-image", metavar="REF", help="add a layer of models to this image, in seconds")
    platform = f"which image of a multi-platform one: OS/ARCHITECTURE ({PLATFORM})"
    layer.add_argument("--platform", metavar="NAME", help=platform)
    layer.add_argument("--authfile", type=Path, metavar="FILE", help="credentials (those of skopeo or docker login)")
    layer.add_argument("--insecure", action="store_true", help="registries without TLS or with an unknown certificate")


def image(options: argparse.Namespace) -> int:
    """Build an image of bundles, or add them to a server image."""
    from snooze.bundle.store import latest, verify
    from snooze.knative.image import layer

    _check_way(options)
    bundles = [latest(path) for path in options.bundle]
    layer.check_distinct(bundles)
    for found in bundles:
        verify(found.folder, found.bundle)
    return (_add_layer if options.server_image else _build)(bundles, options)


def _check_way(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect. Raises InvalidOption."""
    from snooze.bundle.errors import InvalidOption

    unused, reason = WITH_ENGINE, "has no effect with --server-image, which needs no engine"
    if not options.server_image:
        unused, reason = WITHOUT_ENGINE, "is for --server-image; an engine has options of its own (--engine-flag)"
    for option in unused:
        if getattr(options, option.removeprefix("--").replace("-", "_")):
            raise InvalidOption(option, reason)
    if options.server_image and not options.bundle:
        raise InvalidOption("BUNDLE", "expected at least one bundle to add to the server image")


def _build(bundles: "Sequence[Found]", options: argparse.Namespace) -> int:
    """Build the image with an engine, in whose store it stays."""
    from snooze.bundle.errors import InvalidOption
    from snooze.knative.image import engine

    if options.tag.startswith("oci:"):
        raise InvalidOption("--tag", "an engine keeps the image in its own store; give a name such as tumour:1")
    arguments = {"BASE": options.base, "EXTRAS": options.extras}
    for text in options.build_arg:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise InvalidOption("--build-arg", f"expected NAME=VALUE, got {text!r}")
        arguments[name] = value
    program = engine.find(options.engine)
    _prove(bundles, options)
    given = {name: value for name, value in arguments.items() if value is not None}
    engine.build(program, bundles, options.tag, given, options.engine_flag)
    if options.json:
        result = {"tag": options.tag, "image": None, "digest": None, "engine": program, "models": _list_models(bundles)}
        print(json.dumps(result, indent=2))
    else:
        print(f"{options.tag}: {_describe(bundles)}\n\n# push it:\n{program} push {shlex.quote(options.tag)}")
    return 0


def _add_layer(bundles: "Sequence[Found]", options: argparse.Namespace) -> int:
    from snooze.bundle.errors import InvalidOption
    from snooze.knative.image import reference, server_image
    from snooze.knative.image.assembly import add_models
    from snooze.knative.image.skopeo import Registry

    origin = reference.parse("--server-image", options.server_image, options.authfile, options.insecure)
    target = reference.parse("--tag", options.tag, options.authfile, options.insecure)
    if target.tag is None:
        raise InvalidOption("--tag", f"expected a tag to write to, got {options.tag!r}")
    _tell(f"reading {origin}")
    server = server_image.read(origin, options.platform or PLATFORM)
    server_image.check_serves(server, str(origin), [found.bundle for found in bundles])
    _prove(bundles, options)
    _tell(f"writing {target}")
    made = add_models(server, origin, bundles, target)
    # A digest names one image for ever, which Knative and people rely on; a layout is no place to deploy from.
    pinned = str(target.pin(made.digest)) if isinstance(target, Registry) else None
    if options.json:
        result = {"tag": str(target), "image": pinned, "digest": made.digest, "layer_bytes": made.layers[-1].size}
        print(json.dumps({**result, "models": _list_models(bundles)}, indent=2))
    else:
        _print_result(bundles, str(target), made, pinned)
    return 0


def _print_result(bundles: "Sequence[Found]", target: str, made: "Image", pinned: str | None) -> None:
    from snooze.bundle.units import format_size

    print(f"{target}: {_describe(bundles)} in a layer of {format_size(made.layers[-1].size)}\n{made.digest}\n")
    if pinned is None:
        print(
            f"# copy it to a registry:\nskopeo copy --preserve-digests {shlex.quote(target)} docker://REGISTRY/NAME:TAG"
        )
        return
    print("# deploy it:")
    for found in bundles:
        print(f"snooze deploy {shlex.quote(str(found.folder))} --image {pinned}")


def _extras(text: str) -> str:
    """Return names of extras, as the Dockerfile takes them."""
    names = sorted(set(text.replace(",", " ").split()))
    if not {"image", "text"}.issuperset(names):
        raise argparse.ArgumentTypeError(f"expected image, text, or image,text, got {text!r}")
    return " ".join(names)


def _describe(bundles: "Sequence[Found]") -> str:
    return ", ".join(f"{found.name} version {found.version}" for found in bundles) or "a server without a model"


def _list_models(bundles: "Sequence[Found]") -> list[dict[str, object]]:
    return [{"name": found.name, "version": found.version} for found in bundles]


def _prove(bundles: "Sequence[Found]", options: argparse.Namespace) -> None:
    from snooze.knative.image import golden

    if bundles and not options.no_verify:
        _tell("checking the golden samples")
        golden.prove([found.folder for found in bundles])


def _tell(step: str) -> None:
    if sys.stderr.isatty():
        print(f"... {step}", file=sys.stderr, flush=True)

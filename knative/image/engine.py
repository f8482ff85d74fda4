"""
An image built by podman, buildah or docker, from the Dockerfile and the packages that are installed here.

The build context is made of what the image needs, and of the bundles: no file of the user's is sent to the engine, and
none that changes can change the image.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from snooze.bundle.codec import CONTRACT
from snooze.bundle.store import Found, resolve, sha256
from snooze.knative.image.errors import NoEngine, ProgramFailed
from snooze.knative.image.server_image import MODELS_LABEL, find_extras, format_models

ENGINES: Final = ("podman", "buildah", "docker")
PACKAGES: Final = Path(__file__).resolve().parents[2]  # the repository, or `site-packages/snooze`
CONTEXT: Final = ("bundle", "service", "knative/image")
MODELS: Final = "models"  # in the build context


def find(name: str | None) -> str:
    """Return the engine to use: `name`, otherwise the first one on the PATH. Raises NoEngine."""
    wanted = (name,) if name else ENGINES
    for engine in wanted:
        if shutil.which(engine):
            return engine
    raise NoEngine(wanted)


def build(
    engine: str, bundles: Sequence[Found], tag: str, arguments: Mapping[str, str], flags: Iterable[str] = ()
) -> None:
    """
    Build the image with an engine, which keeps it under the name `tag`.

    Args:
        arguments: build arguments of the Dockerfile, beside VERSION, EXTRAS and MODELS, which follow from the bundles
            unless they are given.
        flags: further options for the engine.

    Raises:
        ProgramFailed: the build failed; the engine's output is on standard error.
    """
    described = [(found.bundle, sha256(found.folder / CONTRACT)) for found in bundles]
    given = {"VERSION": version("snooze"), "EXTRAS": " ".join(find_extras(bundle for bundle, _ in described))}
    labels = [f"--label={MODELS_LABEL}={format_models(described)}"] if bundles else []
    with tempfile.TemporaryDirectory(prefix="snooze-") as name:
        context = Path(name)
        stage(bundles, context)
        values = {**given, **({"MODELS": MODELS} if bundles else {}), **arguments}
        options = [f"--build-arg={name}={value}" for name, value in values.items()]
        dockerfile = f"--file={context / 'Dockerfile'}"
        _run([engine, "build", f"--tag={tag}", dockerfile, *options, *labels, *flags, str(context)])


def stage(bundles: Iterable[Found], context: Path) -> None:
    """Copy what the Dockerfile needs, and the files that the bundles list, to an empty folder."""
    for name in CONTEXT:
        shutil.copytree(PACKAGES / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    packed = context / "knative/image/Dockerfile"  # a wheel has it there
    shutil.copy(packed if packed.exists() else PACKAGES / "Dockerfile", context / "Dockerfile")
    shutil.copy(PACKAGES / "LICENSE", context)
    for found in bundles:
        folder = context / MODELS / found.name / str(found.version)
        folder.mkdir(parents=True)
        for name in (CONTRACT, *found.bundle.files):
            shutil.copyfile(resolve(found.folder, name), folder / name)


def _run(command: Sequence[str]) -> None:
    """Run an engine: on a terminal with its output, otherwise with the output only if it fails."""
    if sys.stderr.isatty():
        code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    else:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        code = done.returncode
        if code:
            sys.stderr.write(done.stdout.decode("utf-8", "replace"))
    if code:
        raise ProgramFailed(command[0], f"the build ended with exit code {code}; its output is above")

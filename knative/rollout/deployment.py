"""A deployment: the manifest of a bundle as a file, and the commands that apply it to a cluster."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidOption
from snooze.knative.errors import NotWritable
from snooze.knative.manifest import document, service
from snooze.knative.manifest.options import Options
from snooze.knative.rollout import kn
from snooze.knative.sizing.size import Size

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A manifest as data and as YAML, and the size it was made for."""

    manifest: Mapping[str, Any]
    text: str
    size: Size
    warnings: tuple[str, ...]

    def write(self, output: str | None) -> Path | None:
        """
        Write the YAML to a file, by default `NAME.yaml`, and return its path; return None for standard output.

        Raises:
            NotWritable: there is another file, or no place for one.
        """
        if output == STANDARD_OUTPUT:
            return None
        path = Path(output or f"{self.manifest['metadata']['name']}.yaml")
        try:
            if path.exists():
                _check_is_ours(path)
            path.write_text(self.text, "utf-8")
        except OSError as error:
            raise NotWritable(path, error.strerror or str(error)) from None
        return path

    def apply(self, file: Path | None) -> None:
        """
        Run `kn service apply` with the manifest in `file`, or in a temporary file if that is None.

        Raises:
            KnFailed: `kn` ended with an error.
            MissingProgram: `kn` is not on the PATH.
        """
        if file is not None:
            kn.run(kn.apply_command(self.manifest, str(file)))
            return
        with tempfile.TemporaryDirectory(prefix="snooze-") as folder:
            path = Path(folder) / "service.yaml"
            path.write_text(self.text, "utf-8")
            kn.run(kn.apply_command(self.manifest, str(path)))

    def as_dict(self, file: Path) -> dict[str, Any]:
        """Return the deployment as a JSON object; `file` is the manifest's path."""
        return {
            "file": str(file),
            "manifest": self.manifest,
            "apply": kn.apply_command(self.manifest, str(file)),
            "create": kn.create_command(self.manifest),
            "left_out": kn.left_out(self.manifest),
            "warnings": list(self.warnings),
            "size": asdict(self.size),
        }


def prepare(bundle: Bundle, digest: str, size: Size, options: Options) -> Deployment:
    """
    Return the deployment of a bundle whose `bundle.json` has the SHA-256 `digest`.

    Raises:
        InvalidOption: `max_scale` allows fewer pods than the load needs.
        MissingExtra: PyYAML is not installed.
    """
    if options.max_scale and options.max_scale < size.pods:
        need = f"{size.rps:g} requests/s need {size.pods} pods for up to {size.rps_per_pod:.4g} requests/s each"
        raise InvalidOption("--max-scale", f"{need}, got {options.max_scale}")
    manifest = service.build(bundle, digest, size, options)
    text = document.write(manifest, service.explain(size, options))
    return Deployment(manifest, text, size, tuple(options.warnings()))


def _check_is_ours(path: Path) -> None:
    """
    Check that `snooze deploy` wrote a file, by its first line: the path may be a device without an end.

    Raises:
        NotWritable: it did not.
    """
    if not path.is_file():
        raise NotWritable(path, "it is not a regular file; - stands for standard output")
    header = document.HEADER.encode()
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise NotWritable(path, "it exists and was not written by snooze deploy")

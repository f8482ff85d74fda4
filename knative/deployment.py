"""One deployment: the checked manifest of a bundle, its text, and the commands that bring it to a cluster."""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.knative import document, kn, manifest
from snooze.knative.errors import InvalidOption, NotWritable
from snooze.knative.manifest import MAX_BODY, Options
from snooze.knative.names import DNS_1123_LABEL, from_model, service_name
from snooze.knative.problems import Problem
from snooze.knative.sizing import Size
from snooze.knative.validation import known_features, require_valid

STANDARD_OUTPUT: Final = "-"
VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")  # as Kubernetes has it


@dataclass(frozen=True, slots=True)
class Deployment:
    """A manifest that Knative would take, as data and as YAML, and what it was sized for."""

    manifest: Mapping[str, Any]
    text: str
    size: Size
    warnings: tuple[Problem, ...]

    def write(self, output: str | None) -> Path | None:
        """
        Write the text to a file, NAME.yaml if none is named, and return where it is; None for standard output.

        Raises:
            NotWritable: there is a file that is not ours, or no place for one.
        """
        if output == STANDARD_OUTPUT:
            return None
        path = Path(output or f"{self.manifest['metadata']['name']}.yaml")
        try:
            if path.exists() and not _is_ours(path):
                raise NotWritable(path, "it is there, and was not written by snooze deploy")
            _replace(path, self.text)
        except OSError as error:
            raise NotWritable(path, error.strerror or str(error)) from None
        return path

    def apply(self, file: Path | None) -> None:
        """
        Run `kn service apply` with the manifest, from `file` or, where that is None, from a temporary one.

        Raises:
            KnFailed: the cluster or `kn` said no.
            MissingProgram: `kn` is not on the PATH.
        """
        if file is not None:
            kn.run(kn.apply_command(self.manifest, str(file)))
            return
        with tempfile.TemporaryDirectory(prefix="snooze-") as folder:
            path = Path(folder) / "service.yaml"
            path.write_text(self.text, "utf-8")
            kn.run(kn.apply_command(self.manifest, str(path)))

    def apply_text(self, file: Path | None) -> str:
        """Return the command that carries the whole manifest, for a shell."""
        return kn.text(kn.apply_command(self.manifest, str(file or STANDARD_OUTPUT)))

    def create_text(self) -> str:
        """Return the command in flags, for a shell."""
        return kn.text(kn.create_command(self.manifest))

    def left_out(self) -> list[str]:
        """Return the fields that the flags cannot carry."""
        return kn.left_out(self.manifest)

    def as_dict(self, file: Path | None) -> dict[str, Any]:
        """Return everything as what JSON can say."""
        return {
            "file": None if file is None else str(file),
            "manifest": self.manifest,
            "apply": kn.apply_command(self.manifest, str(file or STANDARD_OUTPUT)),
            "create": kn.create_command(self.manifest),
            "left_out": self.left_out(),
            "warnings": [str(warning) for warning in self.warnings],
            "size": self.size.as_dict(),
        }


def make(bundle: Bundle, digest: str, size: Size, options: Options, features: Iterable[str] = ()) -> Deployment:
    """
    Return the deployment of a bundle whose `bundle.json` has the SHA-256 `digest`.

    Raises:
        InvalidManifest: Knative, or a rule of ours, refuses what the options ask for.
        InvalidOption: fewer pods are allowed than the load needs, or `features` names one that Knative does not have.
        MissingExtra: PyYAML is not installed.
    """
    if options.max_scale and options.max_scale < size.pods:
        need = f"{size.rps:g} requests/s need {size.pods} pods of at most {size.rps_per_pod:.4g} each"
        raise InvalidOption("--max-scale", f"{need}, got {options.max_scale}")
    data = manifest.build(bundle, digest, size, options)
    warnings = require_valid(data, known_features(frozenset(features)))
    text = document.write(data, manifest.reasons(size, options))
    return Deployment(data, text, size, tuple(warnings))


def options(bundle: Bundle, arguments: Mapping[str, Any]) -> Options:
    """
    Return the options that the arguments of `snooze deploy` ask for.

    Raises:
        InvalidName: of the name given, or the model's, no service name can be made.
        InvalidOption: names the option.
    """
    namespace = arguments["namespace"]
    if DNS_1123_LABEL.fullmatch(namespace) is None:
        raise InvalidOption("--namespace", f"{namespace!r} is no legal name; write lower case letters, digits and '-'")
    environment: dict[str, str] = {}
    for entry in arguments["env"]:
        name, equals, value = entry.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise InvalidOption("--env", f"expected NAME=VALUE, got {entry!r}")
        if name == MAX_BODY:
            raise InvalidOption("--env", f"{name} goes with the memory limit; say --max-body instead")
        environment[name] = value
    return Options(
        image=arguments["image"],
        name=service_name(arguments["name"]) if arguments["name"] else from_model(bundle.name),
        namespace=namespace,
        min_scale=arguments["min_scale"],
        max_scale=arguments["max_scale"],
        window=_whole_seconds("--window", arguments["window"]),
        timeout=_whole_seconds("--timeout", arguments["timeout"]),
        private=arguments["private"],
        environment=environment,
    )


def _whole_seconds(option: str, seconds: float) -> int:
    if seconds != int(seconds):
        raise InvalidOption(option, f"expected whole seconds, got {seconds:g}")
    return int(seconds)


def _is_ours(path: Path) -> bool:
    """Return whether we wrote a file, of which no more is read than that takes: it may be a device without an end."""
    if not path.is_file():
        raise NotWritable(path, "it is no file; - writes to standard output")
    header = document.HEADER.encode()
    with path.open("rb") as file:
        return file.read(len(header)) == header


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Predictions of a bundle in this process, without a server: `snooze predict PATH`."""

from pathlib import Path
from typing import Any

from snooze.bundle.errors import InvalidOption, MissingExtra
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows
from snooze.bundle.store import latest
from snooze.service.process.cpu import allowed

MAX_VERSION_DIGITS = 16


def ask(path: str, model: str | None, version: str | None, rows: Rows) -> dict[str, Any]:
    """
    Return the answer of the plain protocol for `rows`.

    Args:
        path: a bundle, the folder of a model, or a repository.
        model: the model's name, where `path` is a repository.
        version: the version's number; the highest by default.
        rows: from `bundle.rows.reading`.

    Raises:
        BundleError, ServiceError: the bundle cannot be served.
        InvalidData: the rows do not fit the model.
        InvalidOption: `version` is not a version number.
        MissingExtra: a package of `snooze[service]` is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
        import orjson

        from snooze.service.messages import Call
        from snooze.service.protocols import plain
        from snooze.service.runtime.model import load
    except ModuleNotFoundError as error:
        if error.name not in ("onnxruntime", "orjson"):  # installed but broken: show the real cause
            raise
        raise MissingExtra(error.name, "service") from None
    if version is not None and not (version.isascii() and version.isdigit() and len(version) <= MAX_VERSION_DIGITS):
        raise InvalidOption("--version", f"expected a positive integer, got {version[:MAX_VERSION_DIGITS]!r}")
    found = latest(Path(path) / model if model else Path(path), None if version is None else int(version))
    loaded = load(found.folder, found.bundle, allowed())
    samples = loaded.samples()
    loaded.load_adapter(samples)
    loaded.prove(samples)  # as a server does; it also finds out whether scores are probabilities
    call = Call(fit(rows, found.bundle.inputs, "the rows"), loaded.output_names)
    body, _ = plain.encode(loaded.signature(), call, loaded.run(call.outputs, call.feeds), b"")
    answer: dict[str, Any] = orjson.loads(body)
    return answer

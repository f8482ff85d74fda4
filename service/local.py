"""Predictions of a bundle in this process, without a server: `snooze predict PATH`."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from snooze.bundle.errors import InvalidOption, MissingExtra
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows
from snooze.bundle.store import latest
from snooze.service.process.cpu import allowed

if TYPE_CHECKING:
    from snooze.service.messages import Call
    from snooze.service.protocols.tensors import Signature

MAX_VERSION_DIGITS = 16

Request: TypeAlias = tuple[bytes, Mapping[str, str]]  # body and headers


def ask(
    path: str,
    model: str | None,
    version: str | None,
    read_rows: Callable[[], Rows],
    write_raw: Callable[[str], Iterable[Request] | None] = lambda kind: None,
) -> dict[str, Any]:
    """
    Return the answer of the plain protocol for `rows`.

    Args:
        path: a bundle, the folder of a model, or a repository.
        model: the model's name, where `path` is a repository.
        version: the version's number; the highest by default.
        read_rows: returns rows from `bundle.rows.reading`.
        write_raw: returns requests of the plain protocol for an adapter of a kind, body and headers of each; None if
            the rows are the model's own inputs.

    Raises:
        BundleError, ServiceError: the bundle cannot be served.
        InvalidData, InvalidRow: the rows do not fit the model.
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
    signature = loaded.signature()
    raw = None if signature.adapter is None else write_raw(signature.adapter.kind)
    if raw is None:
        calls = iter([Call(fit(read_rows(), found.bundle.inputs, "the rows"), loaded.output_names)])
    else:
        calls = (_decode(signature, *request) for request in raw)
    answers: list[dict[str, Any]] = []
    for call in calls:
        body, _ = plain.encode(signature, call, loaded.run(call.outputs, call.feeds), b"")
        answers.append(orjson.loads(body))
    return answers[0] | {"predictions": [one for answer in answers for one in answer["predictions"]]}


def _decode(signature: "Signature", body: bytes, headers: Mapping[str, str]) -> "Call":
    """Return the call of a request, with the inputs that the adapter makes."""
    from snooze.service.protocols import plain

    call = plain.decode(signature, {name.lower().encode(): value.encode() for name, value in headers.items()}, body)
    if call.raw is not None:
        assert signature.adapter is not None
        call.feeds = signature.adapter.apply(call.raw)
    return call

"""
`bundle.json` as JSON text, and back: `decode` names the first thing that does not fit, `encode` is its inverse.

Written out by hand, because every cold start pays for it: no schema library, no type introspection.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from snooze.bundle.contract import (
    ADAPTERS,
    DATA,
    OPTIMIZATIONS,
    ROLES,
    RUN_IN,
    SCHEMA_VERSION,
    TASKS,
    Batching,
    Bundle,
    Data,
    Evidence,
    Optimization,
    Profile,
    Role,
    Run,
    RunIn,
    Session,
    Source,
    Task,
    Tensor,
    Tolerance,
)
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidContract, UnknownSchema

T = TypeVar("T")

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}")
TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
MOST_AXES: Final = 8
MOST_ROWS: Final = 65536
MOST_THREADS: Final = 1024


def decode(text: str | bytes) -> Bundle:
    """
    Return what the text of a `bundle.json` says.

    Raises:
        InvalidContract: names the field, what was expected and what came.
        UnknownSchema: the text follows another version of the contract.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidContract("the file", f"is not JSON: {error}") from None
    document = _Object("", value)
    version = document.take("schema")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UnknownSchema(version, SCHEMA_VERSION)
    bundle = Bundle(
        name=document.text("name", MODEL_NAME),
        version=document.integer("version", 1),
        created=document.text("created", TIMESTAMP),
        source=_source(document.object("source")),
        inputs=document.objects("inputs", _input),
        outputs=document.objects("outputs", _output),
        task=cast("Task | None", document.choice("task", TASKS, optional=True)),
        labels=document.texts("labels"),
        batching=document.optional("batching", _batching),
        adapter=document.optional("adapter", _adapter),
        session=_session(document.object("session")),
        tolerance=document.mapping("tolerance", _tolerance),
        evidence=_evidence(document.object("evidence")),
        profile=_profile(document.object("profile")),
        files=document.mapping("files", _hash),
    )
    document.close()
    _check_whole(bundle)
    return bundle


def encode(bundle: Bundle) -> str:
    """Return the text of `bundle.json`, one key a line so that two versions can be compared."""
    evidence, profile = bundle.evidence, bundle.profile
    document: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "name": bundle.name,
        "version": bundle.version,
        "created": bundle.created,
        "source": _fields(bundle.source),
        "inputs": [_tensor(tensor, role=False) for tensor in bundle.inputs],
        "outputs": [_tensor(tensor, role=True) for tensor in bundle.outputs],
        "task": bundle.task,
        "labels": None if bundle.labels is None else list(bundle.labels),
        "batching": None if bundle.batching is None else _fields(bundle.batching),
        "adapter": None if bundle.adapter is None else dict(bundle.adapter),
        "session": _fields(bundle.session),
        "tolerance": {
            name: {"exact": True} if limit.exact else {"rtol": limit.rtol, "atol": limit.atol}
            for name, limit in bundle.tolerance.items()
        },
        "evidence": {
            "data": evidence.data,
            "parity": dict(evidence.parity),
            "evaluation": dict(evidence.evaluation),
            "candidates": [dict(candidate) for candidate in evidence.candidates],
            "chosen": evidence.chosen,
            "statistics": dict(evidence.statistics),
            **evidence.more,
        },
        "profile": {
            "cpu": profile.cpu,
            "run": [_fields(run) for run in profile.run],
            "memory": dict(profile.memory),
            **profile.more,
        },
        "files": dict(bundle.files),
    }
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _tensor(tensor: Tensor, role: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if role and tensor.role is not None:
        document["role"] = tensor.role
    return document


def _refuse_constant(token: str) -> object:
    raise ValueError(f"{token} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return document


class _Object:
    """A JSON object that is read key by key, and must be empty in the end."""

    def __init__(self, path: str, value: object) -> None:
        if not isinstance(value, dict):
            raise InvalidContract(path or "the file", f"expected an object, got {_shown(value)}")
        self.path = path
        self.rest = dict(value)

    def where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> object:
        if key not in self.rest:
            raise InvalidContract(self.where(key), "is missing")
        return self.rest.pop(key)

    def close(self) -> None:
        for key in self.rest:
            raise InvalidContract(self.where(key), "is not a key of the contract")

    def object(self, key: str) -> "_Object":
        return _Object(self.where(key), self.take(key))

    def optional(self, key: str, read: Callable[["_Object"], T]) -> T | None:
        value = self.take(key)
        return None if value is None else read(_Object(self.where(key), value))

    def items(self, key: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            raise InvalidContract(self.where(key), f"expected a list, got {_shown(value)}")
        return value

    def objects(self, key: str, read: Callable[["_Object"], T]) -> tuple[T, ...]:
        where = self.where(key)
        return tuple(read(_Object(f"{where}[{i}]", value)) for i, value in enumerate(self.items(key)))

    def mapping(self, key: str, read: Callable[[str, str, Any], T]) -> dict[str, T]:
        inner = self.object(key)
        return {name: read(inner.where(name), name, value) for name, value in inner.rest.items()}

    def free(self, key: str) -> dict[str, Any]:
        return self.object(key).rest

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self.take(key)
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            expected = f"a text like {pattern.pattern}" if pattern else "a text"
            raise InvalidContract(self.where(key), f"expected {expected}, got {_shown(value)}")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        if self.rest.get(key, "") is None:
            del self.rest[key]
            return None
        for i, value in enumerate(items := self.items(key)):
            if not isinstance(value, str):
                raise InvalidContract(f"{self.where(key)}[{i}]", f"expected a text, got {_shown(value)}")
        return tuple(items)

    def choice(self, key: str, known: tuple[str, ...], optional: bool = False) -> str | None:
        value = self.take(key)
        if (value is None and optional) or (isinstance(value, str) and value in known):
            return value
        allowed = ", ".join((*known, "null") if optional else known)
        raise InvalidContract(self.where(key), f"expected one of {allowed}, got {_shown(value)}")

    def integer(self, key: str, least: int, most: int | None = None) -> int:
        value = self.take(key)
        if type(value) is not int or value < least or (most is not None and value > most):
            limits = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise InvalidContract(self.where(key), f"expected a whole number {limits}, got {_shown(value)}")
        return value

    def number(self, key: str) -> float:
        value = self.take(key)
        if type(value) not in (int, float) or not 0 <= cast("float", value) <= 1e300:
            raise InvalidContract(self.where(key), f"expected a number of at least 0, got {_shown(value)}")
        return float(cast("float", value))

    def text_or_null(self, key: str) -> str | None:
        if self.rest.get(key, "") is None:
            del self.rest[key]
            return None
        return self.text(key)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _source(source: _Object) -> Source:
    read = Source(
        framework=source.text("framework"),
        framework_version=source.text("framework_version"),
        file=source.text_or_null("file"),
        sha256=source.text_or_null("sha256"),
        git=source.text_or_null("git"),
        command=source.text_or_null("command"),
    )
    source.close()
    return read


def _input(tensor: _Object) -> Tensor:
    if "role" in tensor.rest:
        raise InvalidContract(tensor.where("role"), "only outputs have a role")
    return _output(tensor)


def _output(tensor: _Object) -> Tensor:
    name = tensor.text("name")
    datatype = cast("str", tensor.choice("datatype", tuple(DATATYPES)))
    where = tensor.where("shape")
    for i, size in enumerate(shape := tensor.items("shape")):
        if type(size) is not int or size < -1:
            raise InvalidContract(f"{where}[{i}]", f"expected -1 or a size of at least 0, got {_shown(size)}")
    role = cast("Role", tensor.choice("role", ROLES)) if "role" in tensor.rest else None
    tensor.close()
    if not name:
        raise InvalidContract(tensor.where("name"), "is empty")
    return Tensor(name, datatype, tuple(shape), role)


def _batching(batching: _Object) -> Batching:
    read = Batching(
        axis=batching.integer("axis", 0, MOST_AXES - 1), max_rows=batching.integer("max_rows", 1, MOST_ROWS)
    )
    batching.close()
    return read


def _adapter(adapter: _Object) -> Mapping[str, Any]:
    kind = adapter.choice("kind", ADAPTERS)
    return {"kind": kind, **adapter.rest}


def _session(session: _Object) -> Session:
    read = Session(
        file=session.text("file", FILE_NAME),
        optimization=cast("Optimization", session.choice("optimization", OPTIMIZATIONS)),
        intra_op_threads=session.integer("intra_op_threads", 1, MOST_THREADS),
        run_in=cast("RunIn", session.choice("run_in", RUN_IN)),
    )
    session.close()
    return read


def _tolerance(where: str, name: str, value: object) -> Tolerance:
    limit = _Object(where, value)
    if "exact" in limit.rest:
        if limit.take("exact") is not True:
            raise InvalidContract(f"{where}.exact", "expected true, or rtol and atol instead")
        read = Tolerance(exact=True)
    else:
        read = Tolerance(rtol=limit.number("rtol"), atol=limit.number("atol"))
    limit.close()
    return read


def _evidence(evidence: _Object) -> Evidence:
    return Evidence(
        data=cast("Data", evidence.choice("data", DATA)),
        parity=evidence.free("parity"),
        evaluation=evidence.free("evaluation"),
        candidates=evidence.objects("candidates", lambda candidate: candidate.rest),
        chosen=evidence.text("chosen"),
        statistics=evidence.free("statistics"),
        more=evidence.rest,
    )


def _run(run: _Object) -> Run:
    read = Run(
        rows=run.integer("rows", 1, MOST_ROWS),
        seconds=run.number("seconds"),
        spread=run.number("spread"),
        cpu_seconds=run.number("cpu_seconds"),
    )
    run.close()
    return read


def _profile(profile: _Object) -> Profile:
    return Profile(
        cpu=profile.text("cpu"),
        run=profile.objects("run", _run),
        memory=profile.free("memory"),
        more=profile.rest,
    )


def _hash(where: str, name: str, value: object) -> str:
    if not FILE_NAME.fullmatch(name):
        raise InvalidContract(where, "expected the name of a file in the bundle's own folder")
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise InvalidContract(where, f"expected sha256:<64 hexadecimal digits>, got {_shown(value)}")
    return value


def _check_whole(bundle: Bundle) -> None:
    """Check what no single field can tell."""
    for kind, tensors in (("inputs", bundle.inputs), ("outputs", bundle.outputs)):
        if not tensors:
            raise InvalidContract(kind, "is empty")
        names = [tensor.name for tensor in tensors]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise InvalidContract(f"{kind}[{i}].name", f"{name!r} stands twice")
    names = [tensor.name for tensor in bundle.outputs]
    for name in bundle.tolerance:
        if name not in names:
            raise InvalidContract(f"tolerance.{name}", f"no such output; there are: {', '.join(names)}")
    for name in names:
        if name not in bundle.tolerance:
            raise InvalidContract(f"tolerance.{name}", "is missing")
    for name in (bundle.session.file, "samples.npz"):
        if name not in bundle.files:
            raise InvalidContract(f"files.{name}", "is missing")

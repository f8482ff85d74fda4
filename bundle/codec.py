"""
`bundle.json` as JSON text, and back: `decode` names the first thing that does not fit, `encode` is its inverse.

Written out by hand, because every cold start pays for it: no schema library, no type introspection.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from snooze.bundle import json_text, names
from snooze.bundle.contract import (
    ADAPTERS,
    DATA,
    DATATYPE_NAMES,
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
from snooze.bundle.errors import InvalidContract, UnknownSchema
from snooze.bundle.fields import Fields, shown, whole

CONTRACT: Final = "bundle.json"
SAMPLES: Final = "samples.npz"
MOST_AXES: Final = 8
MOST_ROWS: Final = 65536
MOST_THREADS: Final = 1024


def decode(text: str | bytes) -> Bundle:
    """
    Return what the text of a `bundle.json` (UTF-8) says.

    Raises:
        InvalidContract: names the field, what was expected and what came.
        UnknownSchema: the text follows another version of the contract.
    """
    document = Fields("", json_text.parse(text))
    version = document.take("schema")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UnknownSchema(version, SCHEMA_VERSION)
    bundle = Bundle(
        name=document.text("name", names.is_model_name, names.MODEL_NAME),
        version=document.whole("version", 1),
        created=document.text("created", names.is_moment, names.MOMENT),
        source=_source(document.inner("source")),
        inputs=document.objects("inputs", _input),
        outputs=document.objects("outputs", _output),
        task=cast("Task | None", document.choice_or_null("task", TASKS)),
        labels=_labels(document),
        batching=document.optional("batching", _batching),
        adapter=document.optional("adapter", _adapter),
        session=_session(document.inner("session")),
        tolerance=document.mapping("tolerance", _tolerance),
        evidence=_evidence(document.inner("evidence")),
        profile=_profile(document.inner("profile")),
        files=document.mapping("files", _hash),
    )
    document.close()
    _check_whole(bundle)
    return bundle


def encode(bundle: Bundle) -> str:
    """
    Return the text of `bundle.json`, one key a line so that two versions can be compared.

    Raises:
        InvalidContract: something in it has no JSON form: NaN, infinity, half a character, an array of numpy.
    """
    return json_text.write(_document(bundle))


def _document(bundle: Bundle) -> dict[str, Any]:
    evidence, profile = bundle.evidence, bundle.profile
    return {
        "schema": SCHEMA_VERSION,
        "name": bundle.name,
        "version": bundle.version,
        "created": bundle.created,
        "source": _values(bundle.source),
        "inputs": [_without_role(tensor) for tensor in bundle.inputs],
        "outputs": [_values(tensor) if tensor.role else _without_role(tensor) for tensor in bundle.outputs],
        "task": bundle.task,
        "labels": bundle.labels,
        "batching": None if bundle.batching is None else _values(bundle.batching),
        "adapter": bundle.adapter,
        "session": _values(bundle.session),
        "tolerance": {
            name: {"exact": True} if limit.exact else {"rtol": limit.rtol, "atol": limit.atol}
            for name, limit in bundle.tolerance.items()
        },
        "evidence": _values(evidence),
        "profile": {**_values(profile), "run": [_values(run) for run in profile.run]},
        "files": bundle.files,
    }


def _values(part: Any) -> dict[str, Any]:
    """Return the fields of a part of the contract as an object; what stood in it besides is back in its place."""
    values = {name: getattr(part, name) for name in part.__slots__}
    more = values.pop("more", {})
    return {**values, **more}


def _without_role(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _source(source: Fields) -> Source:
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


def _input(tensor: Fields) -> Tensor:
    if "role" in tensor.rest:
        raise InvalidContract(tensor.where("role"), "only outputs have a role")
    return _output(tensor)


def _output(tensor: Fields) -> Tensor:
    name = tensor.text("name", names.is_tensor_name, names.TENSOR_NAME)
    datatype = tensor.choice("datatype", DATATYPE_NAMES)
    where = tensor.where("shape")
    shape = tuple(whole(f"{where}[{i}]", size, -1) for i, size in enumerate(tensor.items("shape")))
    if len(shape) > MOST_AXES:
        raise InvalidContract(where, f"expected at most {MOST_AXES} dimensions, got {len(shape)}")
    role = cast("Role", tensor.choice("role", ROLES)) if "role" in tensor.rest else None
    tensor.close()
    return Tensor(name, datatype, shape, role)


def _labels(document: Fields) -> tuple[str, ...] | None:
    labels = document.texts_or_null("labels")
    if labels is None:
        return None
    if not labels:
        raise InvalidContract("labels", "is empty; a model without classes has null")
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise InvalidContract(f"labels[{i}]", f"{shown(label)} stands twice")
    return labels


def _batching(batching: Fields) -> Batching:
    read = Batching(axis=batching.whole("axis", 0, MOST_AXES - 1), max_rows=batching.whole("max_rows", 1, MOST_ROWS))
    batching.close()
    return read


def _adapter(adapter: Fields) -> Mapping[str, Any]:
    return {"kind": adapter.choice("kind", ADAPTERS), **adapter.rest}


def _session(session: Fields) -> Session:
    read = Session(
        file=session.text("file", names.is_file_name, names.FILE_NAME),
        optimization=cast("Optimization", session.choice("optimization", OPTIMIZATIONS)),
        intra_op_threads=session.whole("intra_op_threads", 1, MOST_THREADS),
        run_in=cast("RunIn", session.choice("run_in", RUN_IN)),
    )
    session.close()
    return read


def _tolerance(where: str, name: str, value: object) -> Tolerance:
    limit = Fields(where, value)
    if "exact" in limit.rest:
        if limit.take("exact") is not True:
            raise InvalidContract(f"{where}.exact", "expected true, or rtol and atol instead")
        read = Tolerance(exact=True)
    else:
        read = Tolerance(rtol=limit.number("rtol"), atol=limit.number("atol"))
    limit.close()
    return read


def _evidence(evidence: Fields) -> Evidence:
    return Evidence(
        data=cast("Data", evidence.choice("data", DATA)),
        parity=evidence.free("parity"),
        evaluation=evidence.free("evaluation"),
        candidates=evidence.objects("candidates", lambda candidate: candidate.rest),
        chosen=evidence.text("chosen"),
        statistics=evidence.free("statistics"),
        more=evidence.rest,
    )


def _profile(profile: Fields) -> Profile:
    return Profile(
        cpu=profile.text("cpu"),
        run=profile.objects("run", _run),
        memory=profile.free("memory"),
        more=profile.rest,
    )


def _run(run: Fields) -> Run:
    return Run(
        rows=run.whole("rows", 1, MOST_ROWS),
        seconds=run.number("seconds"),
        spread=run.number("spread"),
        cpu_seconds=run.number("cpu_seconds"),
        more=run.rest,
    )


def _hash(where: str, name: str, value: object) -> str:
    if not names.is_file_name(name):
        raise InvalidContract(where, f"expected a file in the bundle's own folder: {names.FILE_NAME}")
    if name == CONTRACT:
        raise InvalidContract(where, "the contract cannot hold its own hash")
    if not isinstance(value, str) or not names.is_hash(value):
        raise InvalidContract(where, f"expected {names.HASH}, got {shown(value)}")
    return value


def _check_whole(bundle: Bundle) -> None:
    """Check what no single field can tell."""
    for kind, tensors in (("inputs", bundle.inputs), ("outputs", bundle.outputs)):
        _check_tensors(kind, tensors, bundle.batching)
    _check_labels(bundle.labels, bundle.outputs)
    outputs = [tensor.name for tensor in bundle.outputs]
    for name in bundle.tolerance:
        if name not in outputs:
            raise InvalidContract(f"tolerance.{name}", f"no such output; there are: {', '.join(outputs)}")
    for name in outputs:
        if name not in bundle.tolerance:
            raise InvalidContract("tolerance", f"output {name!r} has none")
    if SAMPLES not in bundle.files:
        raise InvalidContract(f"files.{SAMPLES}", "is missing")
    if bundle.session.file not in bundle.files:
        raise InvalidContract("session.file", f"{bundle.session.file!r} is not in files")


def _check_labels(labels: tuple[str, ...] | None, outputs: tuple[Tensor, ...]) -> None:
    """Check that there are as many labels as scores; a single score may stand for two classes."""
    widths = [tensor.shape[-1] for tensor in outputs if tensor.role == "scores" and tensor.shape]
    if labels is None or not widths or -1 in widths or len(labels) in widths or (len(labels) == 2 and 1 in widths):
        return
    raise InvalidContract("labels", f"there are {len(labels)}, but {' or '.join(map(str, widths))} scores a row")


def _check_tensors(kind: str, tensors: tuple[Tensor, ...], batching: Batching | None) -> None:
    if not tensors:
        raise InvalidContract(kind, "is empty")
    seen: set[str] = set()
    for i, tensor in enumerate(tensors):
        if tensor.name in seen:
            raise InvalidContract(f"{kind}[{i}].name", f"{tensor.name!r} stands twice")
        seen.add(tensor.name)
        if batching is not None and tensor.shape[batching.axis : batching.axis + 1] != (-1,):
            problem = f"{tensor.name!r} has shape {list(tensor.shape)}, which is not variable along it"
            raise InvalidContract("batching.axis", f"{kind[:-1]} {problem}; batching must be null")

"""A bundle as text: what it is, what it takes and gives, and the evidence it carries. Nothing in it is left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from snooze.bundle.codec import CONTRACT
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.inspection import Inspection
from snooze.bundle.layout import below, columns, described, printable, scalar
from snooze.bundle.units import format_duration as duration
from snooze.bundle.units import format_size as size

REPORT: Final = "report.html"
FIGURES: Final = ("seconds", "speedup", "score", "drop", "flips", "bytes")
MEMORY: Final = ("anonymous", "resident", "peak")
DATA: Final = {
    "given": "real rows, without labels",
    "labelled": "real rows with their labels",
    "synthetic": "rows drawn from the signature: no real data was given",
}


def overview(folder: Path, bundle: Bundle, versions: Sequence[int] = ()) -> Iterator[str]:
    """Yield the lines that describe the bundle in `folder`. `versions` are those that lie beside it."""
    yield f"{bundle.name}, version {bundle.version}"
    yield from _indented(columns(list(_head(folder, bundle, versions))))
    yield from _section("inputs", columns([_tensor(tensor) for tensor in bundle.inputs]))
    outputs = [
        (*_tensor(tensor), tensor.role or "-", _limit(bundle.tolerance[tensor.name])) for tensor in bundle.outputs
    ]
    yield from _section("outputs", columns(outputs))
    yield from _section(f"evidence, from {DATA[bundle.evidence.data]}", _evidence(bundle))
    yield from _section(f"profile, on {printable(bundle.profile.cpu)}", _profile(bundle))
    yield from _section("files", columns(list(_files(folder, bundle)), right=(1,)))
    if REPORT in bundle.files:
        yield ""
        yield f"the evidence for people: {folder / REPORT}"


def table(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Yield one line for each bundle; below them, what is wrong with those that are damaged."""
    rows: list[tuple[str, ...]] = [("model", "version", "created", "source", "task", "served", "size", "verified")]
    for one in inspections:
        name, version, bundle = one.found.name, str(one.found.version), one.bundle
        if bundle is None or one.error is not None:
            rows.append((name, version, *["-"] * 5, "damaged"))
            continue
        sizes = [(one.found.folder / file).stat().st_size for file in bundle.files]
        source = printable(f"{bundle.source.framework} {bundle.source.framework_version}")
        verdict = "yes" if one.proof else "not checked"
        served = printable(bundle.evidence.chosen)
        rows.append((name, version, bundle.created, source, bundle.task or "-", served, size(sum(sizes)), verdict))
    yield from columns(rows, right=(1, 6))
    for one in inspections:
        if one.error is not None:
            yield f"damaged: {one.error}"


def _head(folder: Path, bundle: Bundle, versions: Sequence[int]) -> Iterator[tuple[str, str]]:
    source, session, batching = bundle.source, bundle.session, bundle.batching
    yield "folder", str(folder)
    if len(versions) > 1:
        yield "versions", ", ".join(map(str, versions))
    yield "created", bundle.created
    yield "source", printable(" ".join(filter(None, (source.framework, source.framework_version, source.file))))
    for name, text in (("sha256", source.sha256), ("git", source.git), ("command", source.command)):
        if text is not None:
            yield name, printable(text)
    yield "task", bundle.task or "not known"
    if bundle.labels is not None:
        yield "labels", printable(", ".join(bundle.labels))
    yield "batching", f"up to {batching.max_rows} rows along axis {batching.axis}" if batching else "never"
    if bundle.adapter is not None:
        yield "adapter", ", ".join(f"{printable(key)} {scalar(value, key)}" for key, value in bundle.adapter.items())
    threads = "1 thread" if session.intra_op_threads == 1 else f"{session.intra_op_threads} threads"
    yield "session", f"{session.file}, optimization {session.optimization}, {threads}, run in the {session.run_in}"


def _tensor(tensor: Tensor) -> tuple[str, str, str]:
    return printable(tensor.name), tensor.datatype, str(list(tensor.shape))


def _limit(tolerance: Tolerance) -> str:
    return "exact" if tolerance.exact else f"within {tolerance.atol:.3g} + {tolerance.rtol:.3g} × |value|"


def _evidence(bundle: Bundle) -> Iterator[str]:
    evidence = bundle.evidence
    yield from described("parity", evidence.parity)
    yield from described("evaluation", evidence.evaluation)
    yield from _candidates(evidence.candidates)
    yield f"chosen: {printable(evidence.chosen)}"
    yield from described("statistics", evidence.statistics)
    for key, value in evidence.more.items():
        yield from described(key, value)


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not candidates:
        yield "candidates: none"
        return
    yield "candidates:"
    known = ("name", "verdict", "reason", *FIGURES)
    for candidate in candidates:
        figures = [f"{key} {scalar(candidate[key], key)}" for key in FIGURES if candidate.get(key) is not None]
        line = f"  {scalar(candidate.get('name'))}: {scalar(candidate.get('verdict'))}"
        yield line + (f" ({', '.join(figures)})" if figures else "")
        if candidate.get("reason"):
            yield f"    {scalar(candidate['reason'])}"
        yield from _indented(below({key: value for key, value in candidate.items() if key not in known}), "    ")


def _profile(bundle: Bundle) -> Iterator[str]:
    profile = bundle.profile
    if profile.run:
        head = ("rows", "one run", "spread", "CPU")
        rows = [
            (str(run.rows), duration(run.seconds), duration(run.spread), duration(run.cpu_seconds))
            for run in profile.run
        ]
        yield from columns([head, *rows], right=(0, 1, 2, 3))
    for run in profile.run:
        if run.more:
            yield from described(f"{run.rows} rows", run.more)
    yield from _memory(profile.memory)
    for key, value in profile.more.items():
        yield from described(key, value)


def _memory(memory: Mapping[str, Any]) -> Iterator[str]:
    """Yield the memory after each step as a table, where it was measured in steps; whatever else there is below it."""
    steps = {name: step for name, step in memory.items() if isinstance(step, Mapping) and set(step) <= set(MEMORY)}
    if steps:
        rows = [(printable(name), *(_bytes(step.get(kind)) for kind in MEMORY)) for name, step in steps.items()]
        yield from columns([("memory", *MEMORY), *rows], right=(1, 2, 3))
    for key, value in memory.items():
        if key in steps:
            continue
        if type(value) in (int, float):
            yield f"{printable(key)}: {size(value)}"
        else:
            yield from described(key, value)


def _bytes(value: Any) -> str:
    return size(value) if type(value) in (int, float) else "-"


def _files(folder: Path, bundle: Bundle) -> Iterator[tuple[str, str, str]]:
    yield CONTRACT, size((folder / CONTRACT).stat().st_size), "the contract, which holds the hashes of the others"
    for name, found in bundle.files.items():
        yield name, size((folder / name).stat().st_size), found


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from _indented(lines)


def _indented(lines: Iterable[str], by: str = "  ") -> Iterator[str]:
    for line in lines:
        yield f"{by}{line}"

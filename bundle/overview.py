"""A bundle as text: what it is, what it takes and gives, and the evidence it carries. `--json` has every figure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from snooze.bundle.contract import Bundle, JsonObject, Tensor, Tolerance
from snooze.bundle.evidence import Candidate, Evidence, Losses, Profile, read_evidence, read_profile
from snooze.bundle.inspection import Inspection
from snooze.bundle.layout import columns, printable, titled
from snooze.bundle.store import REPORT
from snooze.bundle.units import format_count, format_duration, format_number, format_size

DATA: Final = {
    "given": "real rows without labels",
    "labelled": "real rows with labels",
    "synthetic": "rows drawn from the signature; add --data to compare on yours and to try quantization",
}
MISSING: Final = "rows with missing values give other answers than the original; fill them in before sending"


def overview(folder: Path, bundle: Bundle, versions: Sequence[int] = ()) -> Iterator[str]:
    """Yield the lines that describe the bundle in `folder`. `versions` are all those of its model."""
    yield f"{bundle.name}, version {bundle.version}"
    yield from _section("", columns(list(_facts(folder, bundle, versions))))
    yield from _section("inputs", columns([_tensor(tensor) for tensor in bundle.inputs]))
    outputs = [(*_tensor(one), one.role or "-", format_tolerance(bundle.tolerance[one.name])) for one in bundle.outputs]
    yield from _section("outputs", columns(outputs))
    if bundle.adapter is not None:
        yield from _section("adapter", columns(list(_adapter(bundle.adapter))))
    yield from _section("evidence", _evidence(read_evidence(bundle)))
    yield from _section("profile", _profile(read_profile(bundle)))
    files = [(name, format_size((folder / name).stat().st_size), found) for name, found in bundle.files.items()]
    yield from _section("files", columns(files, right=(1,)))
    if REPORT in bundle.files:
        yield f"\nreport: {folder / REPORT}"


def table(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Yield one line for each bundle; below them, what is wrong with those that are damaged."""
    rows: list[tuple[str, ...]] = [("model", "version", "created", "source", "task", "served", "size", "verified")]
    for one in inspections:
        name, version, bundle = one.found.name, str(one.found.version), one.bundle
        if bundle is None or one.error is not None:
            rows.append((name, version, *["-"] * 5, "damaged"))
            continue
        size = format_size(sum((one.found.folder / file).stat().st_size for file in bundle.files))
        source = printable(f"{bundle.source.framework} {bundle.source.framework_version}")
        verified = "yes" if one.proof else "not checked"
        served = printable(read_evidence(bundle).chosen)
        rows.append((name, version, bundle.created, source, bundle.task or "-", served, size, verified))
    yield from columns(rows, right=(1, 6))
    for one in inspections:
        if one.error is not None:
            yield f"damaged: {one.error}"


def _facts(folder: Path, bundle: Bundle, versions: Sequence[int]) -> Iterator[tuple[str, str]]:
    source, session, batching = bundle.source, bundle.session, bundle.batching
    yield "folder", str(folder)
    if len(versions) > 1:
        yield "versions", ", ".join(map(str, versions))
    yield "created", bundle.created
    yield "source", printable(" ".join(filter(None, (source.framework, source.framework_version, source.file))))
    for name, text in (("sha256", source.sha256), ("git", source.git), ("command", source.command)):
        if text is not None:
            yield name, printable(text)
    yield "task", bundle.task or "unknown"
    if bundle.labels is not None:
        yield "labels", printable(", ".join(bundle.labels))
    yield "batching", f"up to {batching.max_rows} rows along axis {batching.axis}" if batching else "never"
    threads = format_count(session.intra_op_threads, "thread")
    yield "session", f"{session.file}, optimization {session.optimization}, {threads}, run in the {session.run_in}"


def _tensor(tensor: Tensor) -> tuple[str, str, str]:
    return printable(tensor.name), tensor.datatype, str(list(tensor.shape))


def _adapter(adapter: JsonObject) -> Iterator[tuple[str, str]]:
    for name, value in adapter.items():
        lines = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for at, line in enumerate(lines):
            text = line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)
            yield "" if at else name, printable(text)


def format_tolerance(tolerance: Tolerance) -> str:
    """Return how close an output must be, as text."""
    if tolerance.exact:
        return "exact"
    absolute = (
        f"{min(tolerance.columns):.3g} to {max(tolerance.columns):.3g}"
        if tolerance.columns
        else f"{tolerance.atol:.3g}"
    )
    return f"within {absolute} + {tolerance.rtol:.3g} × |value|"


def _evidence(evidence: Evidence) -> Iterator[str]:
    parity, score, edges = evidence.parity, evidence.evaluation, evidence.parity.edges
    yield from titled("data", DATA[evidence.data])
    rows = format_count(parity.data.rows, "row") + (f" and {format_count(edges.rows, 'edge row')}" if edges else "")
    worst = f"worst difference {parity.data.worst:.1e}, {format_count(parity.data.flips, 'label')} changed"
    yield from titled("parity", f"{parity.attempt} {parity.verdict} on {rows}: {worst}")
    for failed in parity.failed:
        yield from titled("", printable(f"{failed.attempt} does not agree: {failed.problem}"))
    if parity.missing == "differs":
        yield from titled("", MISSING)
    if evidence.adapter is not None:
        raw = evidence.adapter.data
        found = f"worst difference {raw.worst:.1e}, {format_count(raw.flips, 'label')} changed"
        text = f"{format_count(raw.rows, 'raw row')} compared with {evidence.adapter.reference}: {found}"
        yield from titled("adapter", printable(text))
    if score is not None:
        rows = format_count(score.rows, "row")
        yield from titled("score", f"{score.metric} {score.before:.4f} before, {score.after:.4f} as served, on {rows}")
    for one in evidence.candidates:
        text = printable(f"{one.name} {one.verdict}: {one.reason}")
        yield from titled("candidates" if one is evidence.candidates[0] else "", text + _figures(one))
    for variant in evidence.variants:
        if variant.chosen:
            start, run = (format_duration(value or 0.0) for value in (variant.start_seconds, variant.run_seconds))
            form = f"{variant.name}, optimization {variant.optimization}: starts in {start}, runs in {run}"
            yield from titled("form", printable(f"{form}; {format_count(len(evidence.variants), 'form')} measured"))
    for note in evidence.notes:
        yield from titled("warning", printable(note))


def _figures(candidate: Candidate) -> str:
    losses = candidate.selection or Losses(0)
    found = [
        ("speed", candidate.speedup, " ×"), ("score", losses.score, ""), ("drop", losses.drop, ""),
        ("flips", losses.flips, " %"),
    ]  # fmt: skip
    listed = [f"{name} {format_number(value)}{unit}" for name, value, unit in found if value is not None]
    if candidate.bytes is not None:
        listed.append(format_size(candidate.bytes))
    return f" ({', '.join(listed)})" if listed else ""


def _profile(profile: Profile) -> Iterator[str]:
    yield printable(profile.cpu)
    runs = [
        (str(run.rows), format_duration(run.seconds), format_duration(run.spread), format_duration(run.cpu_seconds))
        for run in profile.run
    ]
    yield from columns([("rows", "one run", "spread", "CPU"), *runs], right=(0, 1, 2, 3))
    steps: Any = zip(profile.memory._fields, profile.memory, strict=True)
    rows = [(name.replace("_", " "), *map(format_size, memory)) for name, memory in steps]
    yield from columns([("memory", "anonymous", "resident", "peak"), *rows], right=(1, 2, 3))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    if title:
        yield f"\n{title}"
    for line in lines:
        yield f"  {line}"

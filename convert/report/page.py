"""
`report.html`: the evidence of a bundle for people, in one file that needs no network.

All text from a model, a file or a command line is escaped: a report may be opened by people who do not trust the author
of the model.
"""

import json
from collections.abc import Iterator
from html import escape

from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import Candidate, Differences, Evidence, Profile, read_evidence, read_profile
from snooze.bundle.html import page, table
from snooze.bundle.overview import format_tolerance
from snooze.bundle.units import format_count, format_duration, format_size


def render(bundle: Bundle) -> str:
    """Return the report: first the verdict, then the evidence for it."""
    evidence = read_evidence(bundle)
    body = [
        f"<h1>{escape(bundle.name)}</h1>",
        f"<p>{escape(bundle.task or 'model')}, converted {escape(bundle.created)}</p>",
        *_verdict(evidence),
        *_parity(evidence),
        *_adapter(bundle, evidence),
        *_candidates(evidence),
        *_variants(evidence),
        *_profile(read_profile(bundle)),
        *_signature(bundle),
        *_statistics(evidence),
        *_source(bundle),
    ]
    return page(f"{bundle.name}: evidence", body)


def _verdict(evidence: Evidence) -> Iterator[str]:
    data, edges, score = evidence.parity.data, evidence.parity.edges, evidence.evaluation
    rows = format_count(data.rows + (edges.rows if edges else 0), "row")
    yield (
        f'<p class="verdict"><b class="good">Answers as the original does</b> on {rows}: worst difference '
        f"{data.worst:.1e}, {data.flips} labels flip.</p>"
    )
    yield f'<p class="verdict">Served as <b>{escape(evidence.chosen)}</b>.'
    if score:
        on = format_count(score.rows, "row")
        yield f"{escape(score.metric)} {score.before:.4f} before, {score.after:.4f} as served, on {on}."
    yield "</p>"
    yield from (f'<p class="bad">Warning: {escape(note)}</p>' for note in evidence.notes)
    if evidence.data == "synthetic":
        yield (
            '<p class="bad">Without real rows: the compared rows were drawn from the signature. No 8-bit version was '
            "tried, because drawn rows can neither calibrate it nor show what it loses. "
            "Convert again with <code>--data</code>.</p>"
        )


def _parity(evidence: Evidence) -> Iterator[str]:
    parity = evidence.parity
    yield "<h2>Parity with the original</h2>"
    yield (
        f"<p>The original ({escape(parity.reference)}) and the converted graph answered each row. Edge cases are "
        "derived from the rows for what conversions get wrong: integers, zeros, extremes, negated values, neighbours "
        "in single precision, thresholds of trees. A near tie is a row whose two best scores are almost equal in the "
        "original; its label may differ.</p>"
    )
    parts: list[tuple[str, Differences | None]] = [
        ("rows", parity.data),
        ("edge cases", parity.edges),
        (f"rows, as served ({evidence.chosen})", parity.served),
    ]
    header = ["", "rows", "worst difference", "beyond tolerance", "labels flipped", "near ties"]
    yield from table(header, [[name, *part] for name, part in parts if part])
    limits = "; ".join(f"{name}: {format_tolerance(one)}" for name, one in parity.tolerance.items())
    yield f"<p>Tolerance: {escape(limits)}. Converted in {escape(parity.attempt)}.</p>"
    if parity.edges_refused:
        yield f"<p>The original does not accept these edge cases: {escape(', '.join(parity.edges_refused))}.</p>"
    if parity.missing == "differs":
        yield (
            '<p class="bad">Warning: rows with missing values get other answers than from the original, which accepts '
            "them although it was not trained on any. Fill them in before the rows are sent.</p>"
        )
    if parity.failed:
        yield "<p>Ways to convert that did not agree, and how they compared with the original:</p>"
        header = ["way", "problem", *header[1:]]
        yield from table(
            header, [[one.attempt, one.problem, *(one.differences or [None] * 5)] for one in parity.failed]
        )


def _adapter(bundle: Bundle, evidence: Evidence) -> Iterator[str]:
    if bundle.adapter is None:
        return
    yield "<h2>Adapter</h2>"
    declared = json.dumps(bundle.adapter, indent=2, ensure_ascii=False)
    shown = f'<pre tabindex="0">{escape(declared)}</pre>'
    yield f"<p>What turns raw rows into inputs, at conversion and in the server:</p>{shown}"
    if evidence.adapter is None:
        yield "<p>Without real rows, no raw ones were compared.</p>"
        return
    yield f"<p>Raw rows through adapter and graph, compared with {escape(evidence.adapter.reference)}:</p>"
    header = ["rows", "worst difference", "beyond tolerance", "labels flipped", "near ties"]
    yield from table(header, [list(evidence.adapter.data)])


def _candidates(evidence: Evidence) -> Iterator[str]:
    yield "<h2>Versions</h2>"
    header = ["version", "verdict", "reason", "one run", "speed", "score", "drop, points", "flips, %", "size"]
    yield from table(header, map(_candidate, evidence.candidates))
    limits = evidence.limits
    yield (
        f"<p>Limits of an 8-bit version, with preference for {escape(limits.prefer)}: a score at most "
        f"{limits.max_drop:g} points lower, at most {limits.max_flips:g} % of the labels changed, and "
        f"{limits.min_gain:g} times the speed on {format_count(limits.rows, 'row')}.</p>"
    )
    losses = [(one.name, one.selection) for one in evidence.candidates if one.selection]
    flips = [
        (name, one.rows, one.right_to_wrong, one.wrong_to_right)
        for name, one in losses
        if one.right_to_wrong is not None
    ]
    if flips:
        yield "<p>Rows whose label differs from that of fp32:</p>"
        yield from table(["version", "rows compared", "right to wrong", "wrong to right"], flips)


def _candidate(one: Candidate) -> list[object]:
    return [
        one.name,
        one.verdict,
        one.reason,
        None if one.seconds is None else format_duration(one.seconds),
        None if one.speedup is None else f"{one.speedup:.2f} ×",
        *((one.selection.score, one.selection.drop, one.selection.flips) if one.selection else (None, None, None)),
        None if one.bytes is None else format_size(one.bytes),
    ]


def _variants(evidence: Evidence) -> Iterator[str]:
    yield "<h2>Forms of the chosen version</h2>"
    rows = [
        [
            f"{one.name}, loaded with optimization {one.optimization}" + " (chosen)" * one.chosen,
            "answers differently: left out" if one.start_seconds is None else format_duration(one.start_seconds),
            None if one.run_seconds is None else format_duration(one.run_seconds),
            None if one.bytes is None else format_size(one.bytes),
        ]
        for one in evidence.variants
    ]
    yield from table(["form", "load and first run", "one run", "files"], rows)


def _profile(profile: Profile) -> Iterator[str]:
    yield "<h2>Profile</h2>"
    yield f"<p>{escape(profile.cpu)}, one thread, fresh processes.</p>"
    most = max((one.seconds for one in profile.run), default=1.0)
    titles = "".join(f'<th class="n">{title}</th>' for title in ("rows", "one run", "spread", "CPU"))
    yield f'<div class="wide" tabindex="0"><table><tr>{titles}<th></th></tr>'
    for one in profile.run:
        times = (one.seconds, one.spread, one.cpu_seconds)
        cells = "".join(f'<td class="n">{format_duration(value)}</td>' for value in times)
        bar = f'<td style="width:40%"><div class="bar" style="width:{100 * one.seconds / most:.1f}%"></div></td>'
        yield f'<tr><td class="n">{one.rows}</td>{cells}{bar}</tr>'
    yield "</table></div>"
    steps = zip(profile.memory._fields, profile.memory, strict=True)
    rows = [[name.replace("_", " "), *map(format_size, memory)] for name, memory in steps]
    yield from table(["memory after", "anonymous", "resident", "peak"], rows)


def _signature(bundle: Bundle) -> Iterator[str]:
    yield "<h2>Signature</h2>"
    kinds = [*(("input", one) for one in bundle.inputs), *(("output", one) for one in bundle.outputs)]
    rows = [[kind, one.name, one.datatype, str(list(one.shape)), one.role] for kind, one in kinds]
    yield from table(["", "name", "datatype", "shape", "role"], rows)
    if bundle.labels:
        yield f"<p>{'Values' if bundle.task == 'regression' else 'Classes'}: {escape(', '.join(bundle.labels))}</p>"


def _statistics(evidence: Evidence) -> Iterator[str]:
    for name, found in evidence.statistics.items():
        yield f"<h2>Input {escape(name)}: {format_count(found.rows, 'row')}</h2>"
        yield from table(["name", "min", "max", "mean", "std", "missing"], found.columns)


def _source(bundle: Bundle) -> Iterator[str]:
    source = bundle.source
    yield "<h2>Source</h2>"
    rows: list[list[object]] = [
        ["framework", f"{source.framework} {source.framework_version}"],
        ["file", source.file],
        ["sha256", source.sha256],
        ["git", source.git],
        ["command", source.command],
    ]
    yield from table(["", ""], rows)

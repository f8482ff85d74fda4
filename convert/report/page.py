"""
`report.html`: the evidence of a bundle for people. One file that needs nothing else and no network.

Everything that comes from a model, a file or a command line is escaped: a report may be opened by somebody who does not
trust who made the model.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from snooze.bundle.contract import Bundle, Tensor
from snooze.convert.figures import count, number, seconds, size

REPORT: Final = "report.html"
STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c4432b; --bar: #4a7fd6; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0 } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line) }
table { border-collapse: collapse; width: 100%; font-size: .92rem } .wide { overflow-x: auto }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.verdict { font-size: 1.15rem } .good { color: var(--good) } .bad { color: var(--bad) }
.bar { background: var(--bar); height: .7rem; min-width: 1px } code { overflow-wrap: anywhere }
""".strip()
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def written(bundle: Bundle) -> str:
    """Return the report: the verdict first, then what it rests on."""
    body = "\n".join(
        [
            f"<h1>{escape(bundle.name)}</h1>",
            *_verdict(bundle),
            *_parity(bundle),
            *_candidates(bundle),
            *_variants(bundle),
            *_profile(bundle),
            *_signature(bundle),
            *_statistics(bundle),
            *_source(bundle),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(bundle.name)}: evidence</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _verdict(bundle: Bundle) -> Iterator[str]:
    parity, score = bundle.evidence.parity, bundle.evidence.evaluation
    yield f"<p>{escape(bundle.task or 'model')}, converted {escape(bundle.created)}</p>"
    rows = count(parity["rows"] + parity["edge_rows"], "row")
    yield (
        f'<p class="verdict"><b class="good">Answers as the original does</b> on {rows}: worst difference '
        f"{parity['worst']:.1e}, {parity['flips']} labels flip.</p>"
    )
    yield f'<p class="verdict">Served as <b>{escape(bundle.evidence.chosen)}</b>.'
    if score:
        metric, on = escape(score["metric"]), count(score["rows"], "row")
        yield f"{metric} {score['before']:.4f} before, {score['after']:.4f} as served, on {on}."
    yield "</p>"
    yield from (f'<p class="bad">{escape(note)}</p>' for note in bundle.evidence.more.get("notes", []))
    if bundle.evidence.data == "synthetic":
        yield (
            '<p class="bad">No real rows were given. The rows compared were made up from the signature, and no 8-bit '
            "version was tried: made-up rows can neither calibrate nor tell what is lost. "
            "Convert again with <code>--data</code>.</p>"
        )


def _parity(bundle: Bundle) -> Iterator[str]:
    parity = bundle.evidence.parity
    yield "<h2>Parity with the original</h2>"
    yield (
        "<p>Each row was answered by the original framework and by the converted graph. Edge rows are made from the "
        "others where conversions go wrong: whole numbers, zeros, extremes, turned signs, neighbours in single "
        "precision, thresholds of trees, missing values. A near tie is a row on which the original itself hesitates; "
        "its label may go either way.</p>"
    )
    parts = [("rows", parity), ("edge rows", parity["edge"])]
    if "served" in parity:
        parts.append((f"rows, as served ({bundle.evidence.chosen})", parity["served"]))
    columns = ("rows", "worst", "outliers", "flips", "near_ties")
    found = [[name, *(part[column] for column in columns)] for name, part in parts if part]
    yield from _table(["", "rows", "worst difference", "beyond tolerance", "labels flipped", "near ties"], found)
    limits = "; ".join(f"{name}: {_limit(limit)}" for name, limit in parity["tolerance"].items())
    yield f"<p>Asked: {escape(limits)}. Converted in {escape(parity['conversion'])}.</p>"
    if parity["edge_refused"]:
        yield f"<p>The original does not take rows of these kinds: {escape(', '.join(parity['edge_refused']))}.</p>"
    if parity["missing"] == "differs":
        yield (
            '<p class="bad">Rows with missing values are answered otherwise than by the original, which takes them '
            "although it was not trained on any. Fill them in before they are sent.</p>"
        )
    if parity["failed"]:
        yield "<p>Ways to convert that did not agree:</p>"
        yield from _table(["way", "problem"], [[one["conversion"], one["problem"]] for one in parity["failed"]])


def _limit(limit: Mapping[str, Any]) -> str:
    return "equal" if limit.get("exact") else f"within {limit['atol']:.3g} + {limit['rtol']:.3g} × |value|"


def _candidates(bundle: Bundle) -> Iterator[str]:
    yield "<h2>Versions looked at</h2>"
    columns = ["version", "verdict", "why", "one run", "speed", "score", "drop, points", "flips, %", "size"]
    rows = [
        [
            one["name"],
            one["verdict"],
            one["reason"],
            None if one["seconds"] is None else seconds(one["seconds"]),
            None if one["speedup"] is None else f"{one['speedup']:.2f} ×",
            one["score"],
            one["drop"],
            one["flips"],
            None if one["bytes"] is None else size(one["bytes"]),
        ]
        for one in bundle.evidence.candidates
    ]
    yield from _table(columns, rows)
    limits = bundle.evidence.more.get("limits")
    if limits:
        rows_each = count(limits["rows"], "row")
        yield (
            f"<p>Asked of an 8-bit version, with preference for {escape(limits['prefer'])}: a score at most "
            f"{limits['max_drop']:g} points lower, at most {limits['max_flips']:g} % of the labels changed, and "
            f"{limits['least_gain']:g} times the speed on {rows_each}.</p>"
        )
    judged = [one for one in bundle.evidence.candidates if one.get("right_to_wrong") is not None]
    if judged:
        yield "<p>Rows whose label changed against fp32, and which way:</p>"
        yield from _table(
            ["version", "rows judged", "right to wrong", "wrong to right"],
            [[one[key] for key in ("name", "judged_rows", "right_to_wrong", "wrong_to_right")] for one in judged],
        )


def _variants(bundle: Bundle) -> Iterator[str]:
    yield "<h2>Forms measured</h2>"
    rows = [
        [
            f"{one['name']}, loaded with optimization {one['optimization']}" + (" (chosen)" * bool(one.get("chosen"))),
            seconds(one["start_seconds"]) if "start_seconds" in one else "answers otherwise: left out",
            seconds(one["run_seconds"]) if "run_seconds" in one else None,
            size(one["bytes"]) if "bytes" in one else None,
        ]
        for one in bundle.evidence.more.get("variants", [])
    ]
    yield from _table(["form", "load and first run", "one run", "files"], rows)


def _profile(bundle: Bundle) -> Iterator[str]:
    yield "<h2>Profile</h2>"
    yield f"<p>{escape(bundle.profile.cpu)}, one thread, fresh processes.</p>"
    most = max((one.seconds for one in bundle.profile.run), default=1.0)
    yield '<div class="wide"><table><tr><th>rows</th><th>one run</th><th>spread</th><th>CPU</th><th></th></tr>'
    for one in bundle.profile.run:
        times = "".join(f'<td class="n">{seconds(value)}</td>' for value in (one.seconds, one.spread, one.cpu_seconds))
        bar = f'<td style="width:40%"><div class="bar" style="width:{100 * one.seconds / most:.1f}%"></div></td>'
        yield f'<tr><td class="n">{one.rows}</td>{times}{bar}</tr>'
    yield "</table></div>"
    steps = {name: step for name, step in bundle.profile.memory.items() if isinstance(step, Mapping)}
    rows = [
        [name.replace("_", " "), *(size(step[kind]) for kind in ("anonymous", "resident", "peak"))]
        for name, step in steps.items()
    ]
    yield from _table(["memory after", "anonymous", "resident", "peak"], rows)


def _signature(bundle: Bundle) -> Iterator[str]:
    yield "<h2>Signature</h2>"
    tensors: Iterable[tuple[str, Tensor]] = [
        *(("input", tensor) for tensor in bundle.inputs),
        *(("output", tensor) for tensor in bundle.outputs),
    ]
    rows = [[kind, one.name, one.datatype, str(list(one.shape)), one.role] for kind, one in tensors]
    yield from _table(["", "name", "datatype", "shape", "role"], rows)
    if bundle.labels:
        yield f"<p>Classes: {escape(', '.join(bundle.labels))}</p>"


def _statistics(bundle: Bundle) -> Iterator[str]:
    for name, found in bundle.evidence.statistics.items():
        yield f"<h2>Input {escape(name)}: {count(found['rows'], 'row')}</h2>"
        keys = ("name", "min", "max", "mean", "std", "missing")
        yield from _table(keys, [[column[key] for key in keys] for column in found["columns"]])


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
    yield from _table(["", ""], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    titles = "".join(f"<th>{escape(title)}</th>" for title in header)
    yield f'<div class="wide"><table><tr>{titles}</tr>'
    for row in rows:
        yield "<tr>" + "".join(_cell(value) for value in row) + "</tr>"
    yield "</table></div>"


def _cell(value: object) -> str:
    kind = ' class="n"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{escape(number(value))}</td>"

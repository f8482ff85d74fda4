"""What a conversion found, as a few lines for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.convert.conversion import Converted
from snooze.convert.figures import count, seconds, size

MISSING: Final = "rows with missing values are answered otherwise than by the original: fill them in before sending"
WIDTH: Final = 110
INDENT: Final = 12


def told(converted: Converted) -> str:
    """Return the story: what was compared, tried, chosen and measured, and where it lies."""
    bundle = converted.bundle
    lines = [
        f"{bundle.name} version {bundle.version}, from {bundle.source.framework} {bundle.source.framework_version}",
        "",
    ]
    chapters = [
        *_parity(bundle),
        *_score(bundle),
        *_candidates(bundle),
        *_served(bundle),
        *_profile(bundle),
        ("bundle", str(converted.folder)),
        ("report", str(converted.report)),
    ]
    previous = ""
    for title, text in chapters:
        lines += _wrapped("" if title == previous else title, text)
        previous = title
    return "\n".join(lines)


def _parity(bundle: Bundle) -> Iterator[tuple[str, str]]:
    parity, kind = bundle.evidence.parity, bundle.evidence.data
    rows = count(parity["rows"], "made-up row" if kind == "synthetic" else "row")
    edges = count(parity["edge_rows"], "edge row")
    flips = f"{parity['flips']} labels flip"
    yield "parity", f"{rows} and {edges} agree: worst difference {parity['worst']:.1e}, {flips}"
    for failed in parity.get("failed", []):
        yield "parity", f"{failed['conversion']} did not agree: {failed['problem']}"
    if parity.get("failed"):
        yield "parity", f"{parity['conversion']} does"
    if parity["missing"] == "differs":
        yield "parity", MISSING
    yield from (("mind", note) for note in bundle.evidence.more["notes"])
    if kind == "synthetic":
        yield "parity", "no real rows were given: add --data to compare on yours, and to have 8-bit versions tried"


def _score(bundle: Bundle) -> Iterator[tuple[str, str]]:
    found = bundle.evidence.evaluation
    if found:
        rows = count(found["rows"], "row")
        yield "score", f"{found['metric']} {found['before']:.4f} before, {found['after']:.4f} as served, on {rows}"


def _candidates(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for candidate in bundle.evidence.candidates:
        yield "versions", f"{candidate['name']} {candidate['verdict']}: {candidate['reason']}"


def _served(bundle: Bundle) -> Iterator[tuple[str, str]]:
    variants: list[Mapping[str, Any]] = list(bundle.evidence.more["variants"])
    chosen = next(variant for variant in variants if variant.get("chosen"))
    yield (
        "served",
        f"{bundle.evidence.chosen}, {chosen['name']}, optimization {chosen['optimization']} when loaded: starts in "
        f"{seconds(chosen['start_seconds'])}, runs in {seconds(chosen['run_seconds'])}; "
        f"{count(len(variants), 'form')} measured",
    )


def _profile(bundle: Bundle) -> Iterator[tuple[str, str]]:
    run, memory = bundle.profile.run, bundle.profile.memory
    times = ", ".join(f"{count(one.rows, 'row')} {seconds(one.seconds)}" for one in (run[0], run[-1]))
    peak = size(memory["runs"]["peak"])
    yield "profile", f"{times}; {peak} of memory at most; on {bundle.profile.cpu}"


def _wrapped(title: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    return [f"{title if at == 0 else '':<{INDENT}}{line}" for at, line in enumerate(lines)]

"""The frame of pages for people, in one style: it needs no network; and tables whose content is escaped."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from snooze.bundle.units import format_number

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


def page(title: str, body: Iterable[str]) -> str:
    """Return a page with a title and the given HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a table; numbers are right-aligned, None is a dash."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in header)
    yield f'<div class="wide"><table><tr>{titles}</tr>'
    for row in rows:
        yield "<tr>" + "".join(_cell(value) for value in row) + "</tr>"
    yield "</table></div>"


def _cell(value: object) -> str:
    kind = ' class="n"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{escape(format_number(value))}</td>"

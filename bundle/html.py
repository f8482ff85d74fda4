"""Pages for people, in one style: the frame of a page that needs no network, and tables whose content is escaped."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from snooze.bundle.units import format_number

STYLE: Final = Path(__file__).with_name("style.css")  # of every page
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, body: Iterable[str]) -> str:
    """Return a page with a title and the given HTML, which is all in one file."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>\n{STYLE.read_text("utf-8")}</style>'
    return frame(title, head, body)


def frame(title: str, head: str, body: Iterable[str]) -> str:
    """Return a page with a title, further HTML for its head, and the given HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{head}</head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a table; numbers and their titles are right-aligned, None is a dash. A wide one can be scrolled by keys."""
    rows = list(rows)
    numeric = [any(isinstance(row[at], int | float) for row in rows) for at in range(len(header))]
    yield f'<div class="wide" tabindex="0"><table><tr>{_cells("th", zip(header, numeric, strict=True))}</tr>'
    for row in rows:
        yield f"<tr>{_cells('td', ((value, isinstance(value, int | float)) for value in row))}</tr>"
    yield "</table></div>"


def _cells(tag: str, values: Iterable[tuple[object, bool]]) -> str:
    kinds = {True: ' class="n"', False: ""}
    return "".join(f"<{tag}{kinds[right]}>{escape(format_number(value))}</{tag}>" for value, right in values)

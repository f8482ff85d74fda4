"""The frame of the server's pages for people: one style, no inline script or style, and nothing from other hosts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from snooze.bundle import html
from snooze.service.messages import Headers, Response
from snooze.service.responses import VARY

POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    b"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# Of every answer that a browser shows or runs.
SAFE: Final[Headers] = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
ICON: Final = '<link rel="icon" href="static/icon.svg">'
HTML: Final = (b"content-type", b"text/html; charset=utf-8")


class Links(NamedTuple):
    """What else this server has: the page of its API, and reports."""

    docs: bool
    report: bool


def respond(title: str, body: Iterable[str], files: Sequence[str], links: Links, status: int = 200) -> Response:
    """
    Return a page with the given HTML and the styles and scripts `files` (of `files.py`), after the style of all pages.

    All its links are relative to the root of the server, so it has to be a page of the root: it then works behind a
    path prefix.
    """
    head = ICON + "".join(map(_link, ("style.css", *files)))
    text = html.frame(title, head, [*_header(links), '<main id="main">', *body, "</main>"])
    described = [HTML, (b"content-security-policy", POLICY), (b"cache-control", b"no-cache"), VARY, *SAFE]
    return Response(status, described, text.encode())


def _header(links: Links) -> Iterator[str]:
    yield '<a class="skip" href="#main">Skip to the content</a><header><a class="brand" href="./">Snooze</a>'
    yield '<nav aria-label="Server">' + ('<a href="docs">API</a>' if links.docs else "")
    yield '<a href="openapi.json">OpenAPI</a></nav></header>'


def _link(name: str) -> str:
    if name.endswith(".js"):
        return f'<script src="static/{name}" defer></script>'
    return f'<link rel="stylesheet" href="static/{name}">'

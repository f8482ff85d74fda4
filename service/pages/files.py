"""Styles and scripts of the pages for people: the files in `static`, and the style that the report has, too."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from snooze.bundle.html import STYLE
from snooze.service.messages import Response
from snooze.service.pages.frame import SAFE

TYPES: Final = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}
FILES: Final = {
    path.name: path for path in (STYLE, *sorted(Path(__file__).with_name("static").iterdir())) if path.suffix in TYPES
}


def respond(name: str, headers: Mapping[bytes, bytes]) -> Response:
    """Return one of `FILES`, or 304 if the client has it already."""
    body, tag = _read(name)
    described = [(b"etag", tag), (b"cache-control", b"no-cache"), *SAFE]
    if tag in headers.get(b"if-none-match", b""):
        return Response(304, described, b"")
    return Response(200, [(b"content-type", TYPES[FILES[name].suffix]), *described], body)


@cache
def _read(name: str) -> tuple[bytes, bytes]:
    body = FILES[name].read_bytes()
    return body, b'"%s"' % sha256(body).hexdigest()[:32].encode()

"""Responses to errors, and the compression of responses."""

import zlib
from collections.abc import Mapping
from typing import Final

import orjson

from snooze.service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    HeadTooLarge,
    InvalidRequest,
    InvalidTensor,
    MethodNotAllowed,
    ModelNotReady,
    NotInJson,
    NotServed,
    Overloaded,
    RequestError,
    RequestTimeout,
    RunFailed,
    TooManyConnections,
    UnknownModel,
    UnknownPath,
    UnsupportedEncoding,
    UnsupportedMedia,
    UnsupportedVerb,
)
from snooze.service.messages import Headers, Response

STATUS: Final[dict[type[RequestError], int]] = {
    InvalidRequest: 400,
    InvalidTensor: 400,
    UnknownPath: 404,
    UnknownModel: 404,
    NotServed: 404,
    MethodNotAllowed: 405,
    NotInJson: 406,
    RequestTimeout: 408,
    BodyTooLarge: 413,
    UnsupportedEncoding: 415,
    UnsupportedMedia: 415,
    Overloaded: 429,
    HeadTooLarge: 431,
    RunFailed: 500,
    UnsupportedVerb: 501,
    ModelNotReady: 503,
    TooManyConnections: 503,
    DeadlineExceeded: 504,
}
STATUS_LINES: Final = {200: b"HTTP/1.1 200 OK\r\n"}
REASONS: Final[dict[type[RequestError], str]] = {
    Overloaded: "overload",
    DeadlineExceeded: "deadline",
    ModelNotReady: "loading",
    BodyTooLarge: "limit",
}
INTERNAL: Final = b'{"error":"internal error; the server\'s log has the details"}'
JSON: Final = (b"content-type", b"application/json")
VARY: Final = (b"vary", b"accept")  # what is a page in a browser is JSON for a program
RETRY_AFTER: Final = (b"retry-after", b"1")
# Below this size, compressing takes longer than the bytes it saves take on a network.
MIN_COMPRESSED: Final = 16 * 2**10


def status_line(status: int) -> bytes:
    """Return the first line of a response."""
    line = STATUS_LINES.get(status)
    if line is None:
        from http import HTTPStatus  # here, because a cold start answers 200

        line = STATUS_LINES[status] = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())
    return line


def error_response(error: RequestError) -> Response:
    """Return the response to an error, without the headers that every response has."""
    status = STATUS[type(error)]
    headers = [JSON]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    elif status == 503:
        headers.append(RETRY_AFTER)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, UnsupportedEncoding):
        headers.append((b"accept-encoding", b"gzip, deflate"))
    return Response(status, headers, orjson.dumps({"error": str(error)}))


def compress(body: bytes, request: Mapping[bytes, bytes], binary: bool = False) -> tuple[bytes, Headers]:
    """
    Return a body, compressed if it is large and the client accepts that, and the headers that say so.

    A `binary` body is compressed only if its beginning becomes a fifth smaller: most floating point does not.
    """
    if len(body) < MIN_COMPRESSED:
        return body, []
    vary = (b"vary", b"accept-encoding")
    for encoding, bits in (("gzip", 31), ("deflate", 15)):
        if _accepts(request.get(b"accept-encoding", b""), encoding):
            if binary and len(zlib.compress(body[:MIN_COMPRESSED], 1)) > 0.8 * MIN_COMPRESSED:
                break
            packer = zlib.compressobj(1, zlib.DEFLATED, bits)
            return packer.compress(body) + packer.flush(), [(b"content-encoding", encoding.encode()), vary]
    return body, [vary]


def _accepts(header: bytes, encoding: str) -> bool:
    for part in header.decode("latin-1").lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == encoding:
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

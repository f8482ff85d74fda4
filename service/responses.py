"""Which status an error becomes, and the bytes of an answer: JSON, headers, compression."""

import zlib
from collections.abc import Mapping
from typing import Final

import orjson

from snooze.service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    InvalidRequest,
    InvalidTensor,
    MethodNotAllowed,
    ModelNotReady,
    NotInJson,
    Overloaded,
    RequestError,
    RunFailed,
    UnknownModel,
    UnknownPath,
    UnsupportedEncoding,
)

Headers = list[tuple[bytes, bytes]]

STATUS: Final[dict[type[RequestError], int]] = {
    InvalidRequest: 400,
    InvalidTensor: 400,
    UnknownPath: 404,
    UnknownModel: 404,
    MethodNotAllowed: 405,
    NotInJson: 406,
    BodyTooLarge: 413,
    UnsupportedEncoding: 415,
    Overloaded: 429,
    RunFailed: 500,
    ModelNotReady: 503,
    DeadlineExceeded: 504,
}
REASONS: Final[dict[type[RequestError], str]] = {
    Overloaded: "overload",
    DeadlineExceeded: "deadline",
    ModelNotReady: "loading",
    BodyTooLarge: "limit",
}
INTERNAL: Final = b'{"error":"something went wrong in the server; its log says what"}'
JSON: Final = (b"content-type", b"application/json")
RETRY_AFTER: Final = (b"retry-after", b"1")
# Below this, compressing costs more time than the bytes it saves take on a network.
WORTH_COMPRESSING: Final = 16 * 2**10


def error_body(error: Exception) -> bytes:
    """Return the body that every error has."""
    return orjson.dumps({"error": str(error)})


def error_headers(error: RequestError) -> Headers:
    """Return the headers that an error has beside those of every answer."""
    headers = [JSON]
    if STATUS[type(error)] in (429, 503):
        headers.append(RETRY_AFTER)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, UnsupportedEncoding):
        headers.append((b"accept-encoding", b"gzip, deflate"))
    return headers


def compressed(body: bytes, request: Mapping[bytes, bytes]) -> tuple[bytes, Headers]:
    """Return a JSON body compressed as the client accepts it where that gains something, and its headers."""
    if len(body) < WORTH_COMPRESSING:
        return body, []
    vary = (b"vary", b"accept-encoding")
    for encoding, bits in (("gzip", 31), ("deflate", 15)):
        if _accepts(request.get(b"accept-encoding", b""), encoding):
            packer = zlib.compressobj(1, zlib.DEFLATED, bits)
            return packer.compress(body) + packer.flush(), [(b"content-encoding", encoding.encode()), vary]
    return body, [vary]


def _accepts(header: bytes, encoding: str) -> bool:
    for part in header.decode("latin-1").lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == encoding:
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

"""The bytes of a request: its body within the limits, decompressed, parsed; its id and the time it allows."""

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import orjson

from snooze.service.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}[!-~]{0,64}")
NOT_JSON: Final = re.compile(rb"NaN|Infinity|nan|inf")
MAX_TIMEOUT: Final = 86_400.0


class Disconnected(Exception):
    """The client went away before its request was whole: there is nobody to answer."""


def check_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Refuse a body that says it is larger than `limit`, before any of it is waited for."""
    length = headers.get(b"content-length")
    # The protocol's parser has made sure that it is a number.
    if length is not None and int(length) > limit:
        raise BodyTooLarge(limit)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Return the decompressed body; raises as `finish_body` does."""
    check_length(headers, limit)
    return await finish_body(await receive(), receive, headers, limit)


async def finish_body(message: Message, receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """
    Return the decompressed body that begins with `message`.

    Raises:
        BodyTooLarge: it is larger than `limit` on the wire or decompressed.
        UnsupportedEncoding: it is compressed in a way we do not read.
        InvalidRequest: it is not what its Content-Encoding says.
        Disconnected: the client went away.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(part)
        if not message.get("more_body"):
            break
        message = await receive()
    encoding = headers.get(b"content-encoding")
    body = b"".join(parts)
    return body if encoding is None else decompressed(body, encoding.decode("latin-1").strip().lower(), limit)


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body without its compression, of which no more than `limit` bytes are ever made."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedEncoding(encoding)
    unpacker = zlib.decompressobj(15 if encoding == "deflate" else 31)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the body is not {encoding}: {error}") from None
    if len(plain) > limit:
        raise BodyTooLarge(limit, "the decompressed body")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidRequest(f"the body is not one whole {encoding} stream")
    return plain


def parsed(text: bytes | memoryview, elsewhere: str = "") -> Any:
    """
    Return what the JSON says. `elsewhere` is the path that takes binary data, if it is not this one.

    Raises:
        InvalidRequest: it is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        whole = bytes(text)
        if not whole:
            raise InvalidRequest("the body is empty; expected JSON") from None
        # `pos` counts characters; where all before it is ASCII, they are bytes.
        if whole[: error.pos].isascii() and NOT_JSON.match(whole, error.pos):
            remedy = f"send the tensor to {elsewhere} as binary_data" if elsewhere else "send the tensor as binary_data"
            raise InvalidRequest(f"JSON has no NaN or Infinity (character {error.pos}); {remedy}") from None
        raise InvalidRequest(f"the body is not JSON: {error}") from None


def seconds_allowed(headers: Mapping[bytes, bytes]) -> float:
    """Return the time that `X-Request-Timeout` gives."""
    header = headers[b"x-request-timeout"]
    try:
        seconds = float(header)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds <= MAX_TIMEOUT:
        shown = header[:40].decode("latin-1")
        raise InvalidRequest(f"X-Request-Timeout: expected seconds, more than 0 and at most 86400, got {shown!r}")
    return seconds

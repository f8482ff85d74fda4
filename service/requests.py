"""The bytes of a request: body within the limits, decompression, JSON, and the time that it allows."""

import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

NOT_JSON: Final = re.compile(rb"NaN|Infinity|nan|inf")
MAX_TIMEOUT: Final = 86_400.0
MAX_DIGITS: Final = 9  # of a number of classes
# A list takes 64 bytes and an object 192, however short their JSON is; `[[[` would take 44 times its size to parse.
# With at most 22 bytes of lists and objects per byte of JSON, a request stays below `MEMORY_FACTOR`.
LIST_BYTES: Final = 64
OBJECT_BYTES: Final = 192
MAX_CONTAINER_BYTES: Final = 22
UNCHECKED: Final = 512  # bytes at the beginning of a body, which cannot hold much

# What decoding takes at its peak: bytes for each character of a JSON text that makes Python objects, for each byte of a
# text without and with wide characters, and for each byte of binary tensors of numbers and of texts. Resident memory of
# a process of its own (`tests/service/measure_decoding.py`), with a tenth to spare: a number takes up to 60 bytes (34
# with pysimdjson), a text of one or two characters 109, a list 124 with its number, a key and its value 208.
CHARACTER_BYTES: Final = {b",": 68, b"[": 96, b"{": 176, b":": 96, b'"': 24}
NARROW_FACTOR: Final = 2
WIDE_FACTOR: Final = 6
NUMBERS_FACTOR: Final = 4
TEXTS_FACTOR: Final = 18


def check_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    """
    Check the announced length of a body before any of it is read.

    Raises:
        BodyTooLarge: Content-Length exceeds `limit`.
    """
    length = headers.get(b"content-length")
    # The HTTP parser has made sure that it is a number.
    if length is not None and int(length) > limit:
        raise BodyTooLarge(limit)


def decompress(body: bytes, header: bytes, limit: int) -> bytes:
    """
    Return a body without the compression that Content-Encoding names; never more than `limit` bytes are produced.

    At its peak it takes twice the memory of what it returns.

    Raises:
        BodyTooLarge: the decompressed body exceeds `limit`.
        UnsupportedEncoding: neither gzip, deflate nor identity.
        InvalidRequest: the body is not what Content-Encoding says.
    """
    encoding = header.decode("latin-1").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedEncoding(encoding)
    window = 31
    if encoding == "deflate":
        # RFC 9110: a zlib stream, whose header is method 8 and a multiple of 31. Some clients send raw deflate.
        header_bytes = int.from_bytes(body[:2])
        window = 15 if header_bytes % 31 == 0 and header_bytes >> 8 & 15 == 8 else -15
    unpacker = zlib.decompressobj(window)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the body is not {encoding}: {error}") from None
    if len(plain) > limit:
        raise BodyTooLarge(limit, "the decompressed body")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidRequest(f"the body is not one complete {encoding} stream")
    return plain


def parse_json(body: bytes, binary_path: str = "") -> Any:
    """
    Return the value of a JSON text. `binary_path` is where binary data is accepted, if not here.

    Raises:
        InvalidRequest: it is not JSON, nested too deeply, or has too many lists and objects for its size.
    """
    # Searching for a byte is fast, counting it is not. The data of most requests are one flat list.
    if body.find(b"[", UNCHECKED) >= 0 or body.find(b"{", UNCHECKED) >= 0:
        _check_containers(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body:
            raise InvalidRequest("the body is empty; expected JSON") from None
        # `pos` counts characters, which are bytes where all before it is ASCII.
        if NOT_JSON.match(body, error.pos) and body[: error.pos].isascii():
            remedy = f"send the tensor to {binary_path} as binary_data" if binary_path else "send binary_data"
            raise InvalidRequest(f"JSON has no NaN or Infinity (character {error.pos}); {remedy}") from None
        raise InvalidRequest(f"the body is not JSON: {error}") from None


def memory_needed(body: bytes, json_size: int, texts: bool, enough: int) -> int:
    """
    Return the most bytes that decoding a request allocates at its peak, beside the body itself.

    The first `json_size` bytes of the body are JSON, the others binary tensors, of `texts` or of numbers only. If the
    bound for any JSON of this size is at most `enough` bytes, the content is not looked at (0.6 ms for each MiB).
    """
    binary = (TEXTS_FACTOR if texts else NUMBERS_FACTOR) * (len(body) - json_size)
    most = MEMORY_FACTOR * json_size
    if most + binary <= enough:
        return most + binary
    characters = np.frombuffer(body, np.uint8, json_size)
    wide = not body.isascii() or b"\\" in body  # an escape may stand for a wide character
    needed = (WIDE_FACTOR if wide else NARROW_FACTOR) * json_size
    for character, size in CHARACTER_BYTES.items():
        needed += size * int(np.count_nonzero(characters == ord(character)))
    return min(needed, most) + binary


def _check_containers(body: bytes) -> None:
    text = body
    for _ in range(2):
        lists, objects = text.count(b"["), text.count(b"{")
        if lists * LIST_BYTES + objects * OBJECT_BYTES <= MAX_CONTAINER_BYTES * len(body):
            return
        text = _remove_strings(body)  # brackets in strings do not count
    problem = f"{lists} lists and {objects} objects in {len(body)} bytes take too much memory"
    raise InvalidRequest(f"{problem}; send the data as one flat list, or as binary_data")


def _remove_strings(text: bytes) -> bytes:
    """Return a JSON text without its strings. (`re.sub` may take 120 times the size of the text to do so.)"""
    characters = np.frombuffer(text.replace(rb"\\", b"").replace(rb"\"", b""), np.uint8)
    return characters[~np.logical_xor.accumulate(characters == ord('"'))].tobytes()


def read_timeout(headers: Mapping[bytes, bytes]) -> float:
    """
    Return the seconds of `X-Request-Timeout`, 0 where it is missing or says that the client sets no limit.

    Raises:
        InvalidRequest: it is not a number of seconds up to 24 hours.
    """
    header = headers.get(b"x-request-timeout", b"0")
    try:
        seconds = float(header)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= MAX_TIMEOUT:
        value = header[:40].decode("latin-1")
        raise InvalidRequest(f"X-Request-Timeout: expected seconds from 0 (no limit) to {MAX_TIMEOUT:g}, got {value!r}")
    return seconds


def read_top(query: bytes) -> int:
    """
    Return the parameter `top` of a query, 0 where it is missing. Other parameters are ignored.

    Raises:
        InvalidRequest: it is not a positive integer.
    """
    top = 0
    for parameter in query.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name == b"top":
            if not value.isdigit() or len(value) > MAX_DIGITS or not int(value):
                problem = f"expected a positive integer, got {value[:40].decode('latin-1')!r}"
                raise InvalidRequest(f"query parameter 'top': {problem}")
            top = int(value)
    return top

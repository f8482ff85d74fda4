import gzip
import zlib
from typing import Any

import pytest

from snooze.service.errors import BodyTooLarge, InvalidRequest, RequestError, UnsupportedEncoding
from snooze.service.requests import check_length, decompress, parse_json, read_timeout


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [(b"gzip", gzip.compress), (b"X-GZIP", gzip.compress), (b"deflate", zlib.compress), (b"identity", bytes)],
)
def test_a_body_is_decompressed(encoding: bytes, pack: Any) -> None:
    assert decompress(pack(b"text"), encoding, 4) == b"text"


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        (b"br", b"x", UnsupportedEncoding("br")),
        (b"gzip", gzip.compress(b"{}", mtime=0)[:-2], InvalidRequest("the body is not one complete gzip stream")),
        (b"gzip", gzip.compress(b"{}", mtime=0) + b"x", InvalidRequest("the body is not one complete gzip stream")),
        (b"gzip", gzip.compress(b" " * 10_000_000, mtime=0), BodyTooLarge(1000, "the decompressed body")),
        (b"deflate", zlib.compress(b" " * 10_000_000), BodyTooLarge(1000, "the decompressed body")),
    ],
)
def test_says_what_is_wrong_with_compression(encoding: bytes, body: bytes, error: RequestError) -> None:
    with pytest.raises(type(error)) as caught:
        decompress(body, encoding, 1000)

    assert str(caught.value) == str(error)


def test_a_body_that_is_not_compressed_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the body is not gzip: "):
        decompress(b"{}{}{}", b"gzip", 1000)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is empty; expected JSON"),
        (b"{", "the body is not JSON: "),
        (b'{"inputs": [NaN]}', "JSON has no NaN or Infinity (character 12); send binary_data"),
        (b'{"inputs": [-Infinity]}', "JSON has no NaN or Infinity (character 13); send binary_data"),
        (b"[" * 1030 + b" " * 3000, "the body is not JSON: depth limit exceeded"),
        (b'{"inputs": [1e999]}', "the body is not JSON: number is infinity when parsed as double"),
        (b"\xff\xfe", "the body is not JSON: "),
        (b"[" * 100_000, "100000 lists and 0 objects in 100000 bytes take too much memory; send the data as one flat"),
        (b'["\\n",' + b"[" * 1000 + b',"x"]', "1001 lists and 0 objects in 1011 bytes take too much memory; "),
        (b"[" * 1000 + b'"' + b'\\"' * 500, "1000 lists and 0 objects in 2001 bytes take too much memory; "),
        (b"[" + b'{"":0},' * 1000, "1 lists and 1000 objects in 7001 bytes take too much memory; "),
    ],
)
def test_says_what_is_wrong_with_json(body: bytes, error: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_json(body)

    assert str(caught.value).startswith(error)


def test_names_the_path_that_accepts_nan() -> None:
    with pytest.raises(InvalidRequest, match="send the tensor to /there as binary_data"):
        parse_json(b"[NaN]", "/there")


def test_lists_of_ordinary_density_are_accepted() -> None:
    body = b"[" + b",".join([b"[0]"] * 1000) + b"]"

    assert parse_json(body) == [[0]] * 1000


def test_brackets_in_strings_are_not_lists() -> None:
    text = "[" * 1000 + '\\"['

    assert parse_json(b'["%s\\\\\\"["]' % (b"[" * 1000)) == [text]
    assert parse_json(b'["\\n","%s"]' % (b"[" * 1000)) == ["\n", "[" * 1000]


@pytest.mark.parametrize(("header", "seconds"), [(None, 0), (b"0", 0), (b"0.5", 0.5), (b"86400", 86400)])
def test_a_timeout_of_zero_is_no_limit(header: bytes | None, seconds: float) -> None:
    assert read_timeout({} if header is None else {b"x-request-timeout": header}) == seconds


@pytest.mark.parametrize("header", [b"-1", b"x", b"nan", b"inf", b"100000"])
def test_an_invalid_timeout_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_timeout({b"x-request-timeout": header})

    expected = f"X-Request-Timeout: expected seconds from 0 (no limit) to 86400, got {header.decode()!r}"
    assert str(caught.value) == expected


def test_an_announced_length_over_the_limit_is_refused() -> None:
    check_length({b"content-length": b"100"}, 100)
    with pytest.raises(BodyTooLarge):
        check_length({b"content-length": b"101"}, 100)

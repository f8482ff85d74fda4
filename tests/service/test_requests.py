import gzip
import json
import subprocess
import sys
import zlib
from typing import Any

import pytest

from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service.errors import BodyTooLarge, InvalidRequest, RequestError, UnsupportedEncoding
from snooze.service.requests import check_length, decompress, memory_needed, parse_json, read_timeout

EMPTY_BLOCKS = b"\x1f\x8b\x08" + bytes(7) + b"\0\0\0\xff\xff" * 100_000  # gzip that never ends and holds nothing


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"gzip", gzip.compress),
        (b"X-GZIP", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda body: zlib.compress(body, 9, wbits=-15)),
        (b"identity", bytes),
    ],
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
        (b"deflate", zlib.compress(b"{}")[:-1], InvalidRequest("the body is not one complete deflate stream")),
        (b"deflate", b"", InvalidRequest("the body is not one complete deflate stream")),
        (b"gzip", gzip.compress(b"") * 10_000, InvalidRequest("the body is not one complete gzip stream")),
        (b"gzip", EMPTY_BLOCKS, InvalidRequest("the body is not one complete gzip stream")),
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


@pytest.mark.process
@pytest.mark.parametrize(
    ("protocol", "datatype", "unit", "most"),
    [
        ("v2", "FP32", "1.2345678", 10),
        ("v2", "FP32", "0", MEMORY_FACTOR),
        ("plain", "INT8", "300", MEMORY_FACTOR),
        ("plain", "INT64", "0.5", MEMORY_FACTOR),
        ("plain", "BYTES", '"a"', MEMORY_FACTOR),
        ("v2", "BYTES", '"ü"', MEMORY_FACTOR),
        ("v2", "FP32", "[]", MEMORY_FACTOR),
        ("plain", "FP32", "[[0]]", MEMORY_FACTOR),
        ("plain", "FP32", '{"":0,"b":0,"c":0,"d":0,"e":0,"f":0}', MEMORY_FACTOR),
        ("plain", "FP32", '"aaaaaaaaaaaaaaa\U0001f600"', MEMORY_FACTOR),
        ("binary", "BYTES", "", 19),
        ("binary", "BYTES", "aa", 19),
        ("binary", "FP32", "aaaa", 5),
    ],
)
def test_decoding_takes_no_more_memory_than_stated(protocol: str, datatype: str, unit: str, most: int) -> None:
    command = [sys.executable, "-m", "tests.service.measure_decoding", protocol, datatype, unit, "2000000"]

    taken, size, needed, _ = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    assert taken <= needed <= most * size


def test_the_content_counts_where_the_size_alone_would_be_too_much() -> None:
    numbers = b"[" + b",".join([b"1.2345678"] * 1000) + b"]"
    most = MEMORY_FACTOR * len(numbers)

    assert memory_needed(numbers, len(numbers), False, most) == most
    assert memory_needed(numbers, len(numbers), False, most - 1) < most / 4
    assert memory_needed(numbers, 10, False, 0) < memory_needed(numbers, 10, True, 0) < most / 2
    assert (memory_needed(b"", 0, True, 0), memory_needed(bytes(10), 0, False, 0)) == (0, 40)


def test_an_announced_length_over_the_limit_is_refused() -> None:
    check_length({b"content-length": b"100"}, 100)
    with pytest.raises(BodyTooLarge):
        check_length({b"content-length": b"101"}, 100)

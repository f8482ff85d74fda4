import zlib

import numpy as np
import pytest

from snooze.service.errors import MethodNotAllowed, ModelNotReady, RequestError, UnsupportedEncoding
from snooze.service.responses import MIN_COMPRESSED, REASONS, STATUS, compress, error_response


def test_every_request_error_has_a_status() -> None:
    assert set(STATUS) == set(RequestError.__subclasses__())
    assert all(400 <= status < 600 for status in STATUS.values())
    assert set(REASONS) <= set(STATUS)


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (MethodNotAllowed("PUT", ("GET", "HEAD")), 405, (b"allow", b"GET, HEAD")),
        (UnsupportedEncoding("br"), 415, (b"accept-encoding", b"gzip, deflate")),
        (ModelNotReady("m", "it is broken"), 503, (b"retry-after", b"1")),
    ],
)
def test_an_error_says_what_to_do_in_a_header(error: RequestError, status: int, header: tuple[bytes, bytes]) -> None:
    response = error_response(error)

    assert response.status == status
    assert header in response.headers


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [(b"gzip, deflate", b"gzip"), (b"deflate", b"deflate"), (b"gzip;q=0", None), (b"br", None)],
)
def test_a_large_body_is_compressed_as_the_client_accepts(accepted: bytes, encoding: bytes | None) -> None:
    plain = b"1" * MIN_COMPRESSED

    body, headers = compress(plain, {b"accept-encoding": accepted})

    assert dict(headers).get(b"content-encoding") == encoding
    assert (zlib.decompress(body, 47) if encoding else body) == plain
    assert (b"vary", b"accept-encoding") in headers


@pytest.mark.parametrize(("repeat", "encoding"), [(2, b"gzip"), (1, None)])
def test_a_binary_body_is_compressed_if_its_beginning_becomes_smaller(repeat: int, encoding: bytes | None) -> None:
    plain = np.random.default_rng(0).bytes(MIN_COMPRESSED // repeat) * repeat

    body, headers = compress(plain, {b"accept-encoding": b"gzip"}, binary=True)

    assert dict(headers).get(b"content-encoding") == encoding
    assert (len(body) < len(plain)) == (encoding is not None)
    assert (b"vary", b"accept-encoding") in headers


def test_a_small_body_is_not_compressed() -> None:
    assert compress(b"1", {b"accept-encoding": b"gzip"}) == (b"1", [])

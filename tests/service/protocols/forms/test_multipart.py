from collections.abc import Sequence

import pytest

from snooze.service.errors import InvalidRequest
from snooze.service.protocols.forms.multipart import MAX_HEAD, MAX_PARTS, Part, read_parts

TYPE = b"multipart/form-data; boundary=cut"


def form(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n") -> bytes:
    """Return the body of a form with these headers and contents."""
    written = [b"--cut\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts]
    return b"".join(written) + end


def named(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"; filename="x.png"\r\nContent-Type: image/png'


@pytest.mark.parametrize(
    "contents",
    [
        [b"a"],
        [b""],
        [b"one", b"two", b"three"],
        [b"\r\n--cu", b"--cut", b"\r\n--cu\r\n--cu", b"\r\n\r\n"],
        [bytes(range(256)) * 1000, b"-" * 100_000, b"\r" * 100_000],
    ],
)
def test_parts_come_in_their_order(contents: Sequence[bytes]) -> None:
    parts = [(named(f"file {number}"), data) for number, data in enumerate(contents)]

    assert read_parts(TYPE, form(*parts)) == [Part(f"file {number}", data) for number, data in enumerate(contents)]


def test_a_quoted_boundary_and_what_surrounds_the_parts_are_read() -> None:
    body = b"\r\n" + form((named("a"), b"1"), end=b"--cut--\r\nafter all")

    assert read_parts(b'multipart/form-data; charset=utf-8; boundary="cut"', body) == [Part("a", b"1")]


@pytest.mark.parametrize(
    ("header", "body", "problem"),
    [
        (b"multipart/form-data", form((named("a"), b"1")), "the Content-Type has no boundary"),
        (b"multipart/form-data; boundary=", form((named("a"), b"1")), "the Content-Type has no boundary"),
        (TYPE, b"", "the body ends before its last boundary"),
        (TYPE, form((named("a"), b"1"))[:-20], "the body ends before its last boundary"),
        (TYPE, form((named("a"), b"1"), end=b""), "the body ends before its last boundary"),
        (TYPE, b"--cut--\r\n", "expected at least one part"),
        (
            TYPE,
            form(("Content-Type: image/png", b"1")),
            "part 0 has no name; expected Content-Disposition: form-data; name=...",
        ),
        (
            TYPE,
            form((named("a"), b"1"), (f"{named('b')}\r\nContent-Transfer-Encoding: base64", b"MQ==")),
            "part 1 has the Content-Transfer-Encoding 'base64'; send it as it is, in binary",
        ),
        (TYPE, form(*[(named("a"), b"")] * (MAX_PARTS + 1)), f"expected at most {MAX_PARTS} parts"),
        (
            TYPE,
            form((named("a"), b"1"), (f"{named('b')}\r\nX: {'x' * MAX_HEAD}", b"")),
            f"part 1 has no headers that end within {MAX_HEAD} bytes",
        ),
        (b"multipart/form-data; boundary=other", form((named("a"), b"1")), "the body ends before its last boundary"),
    ],
)
def test_says_what_is_wrong(header: bytes, body: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_parts(header, body)

    assert str(caught.value) == f"multipart/form-data: {problem}"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b'form-data; name="a;b\\"c"', 'a;b"c'),
        (b"form-data; filename=x; NAME = a ; more", "a"),
        ('form-data; name="größe"'.encode(), "größe"),
        (b'form-data; name="\xff"', "\ufffd"),
        (b'form-data; filename="; name=no"; name=""', ""),
    ],
)
def test_names_are_read_as_clients_write_them(value: bytes, name: str) -> None:
    body = b"--cut\r\ncontent-disposition:" + value + b"\r\n\r\n1\r\n--cut--"

    assert read_parts(TYPE, body) == [Part(name, b"1")]


def test_what_may_begin_a_boundary_does_not_take_long() -> None:
    """A byte for each in Python would take seconds, and as many times the memory."""
    data = b"\r\n--cu" * 2_000_000

    (part,) = read_parts(TYPE, form((named("a"), data)))

    assert part.data == data


def test_all_that_a_part_may_have_is_taken() -> None:
    parts = read_parts(TYPE, form(*[(named("a"), b"")] * MAX_PARTS))

    assert len(parts) == MAX_PARTS

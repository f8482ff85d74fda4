"""HTTP answers as they come out of a socket, several at once or in pieces."""

from collections.abc import Mapping
from typing import Final, NamedTuple

MAX_HEAD: Final = 65_536


class Malformed(Exception):
    """What a server wrote is not an HTTP answer."""


class Answer(NamedTuple):
    """A complete answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after it."""
        return self.headers.get(b"connection", b"").lower() == b"close"


class AnswerReader:
    """Cuts a stream of bytes into answers. Every answer must state its length, as those of Snooze and its peers do."""

    def __init__(self) -> None:
        self._rest = b""
        self._head: tuple[int, dict[bytes, bytes], int] | None = None

    @property
    def is_between(self) -> bool:
        """Whether nothing of another answer has come."""
        return not self._rest and self._head is None

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that `data` completes, without those of status 1xx; raises Malformed."""
        rest = self._rest + data if self._rest else data
        answers = []
        while True:
            if self._head is None:
                end = rest.find(b"\r\n\r\n", 0, MAX_HEAD)
                if end < 0:
                    if len(rest) >= MAX_HEAD or rest[:5] not in (b"HTTP/", b"HTTP/"[: len(rest)]):
                        raise Malformed(f"not an answer: {rest[:60]!r}")
                    break
                self._head = parse_head(rest[:end])
                rest = rest[end + 4 :]
            status, headers, length = self._head
            if len(rest) < length:
                break
            if status >= 200:
                answers.append(Answer(status, headers, rest[:length]))
            rest = rest[length:]
            self._head = None
        self._rest = rest
        return answers


def parse_head(head: bytes) -> tuple[int, dict[bytes, bytes], int]:
    """Return status, headers and the length of the body; raises Malformed."""
    first, *lines = head.split(b"\r\n")
    if first[:9] != b"HTTP/1.1 " or not first[9:12].isdigit():
        raise Malformed(f"not a status line: {first[:60]!r}")
    status = int(first[9:12])
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or name != name.strip():
            raise Malformed(f"not a header: {line[:60]!r}")
        headers[name.lower()] = value.strip()
    if status < 200 or status in (204, 304):
        return status, headers, 0
    length = headers.get(b"content-length", b"")
    if not length.isdigit():
        raise Malformed(f"no length in an answer {status}: {head[:120]!r}")
    return status, headers, int(length)

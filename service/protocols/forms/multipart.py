"""Multipart bodies (RFC 7578), as forms and `curl -F` send them: read in memory, nothing is written to disk."""

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from snooze.bundle.errors import MissingExtra
from snooze.service.errors import InvalidRequest

MAX_PARTS: Final = 1024
MAX_HEADERS: Final = 8  # of a part
MAX_HEADER: Final = 1024  # bytes of one
PLAIN: Final = (b"7bit", b"8bit", b"binary")


class Part(NamedTuple):
    """One file or field of a form: its name, and its content."""

    name: str
    data: bytes


def read_parts(header: bytes, body: bytes) -> list[Part]:
    """
    Return the parts of a body, whose Content-Type is `header`, in their order.

    Raises:
        InvalidRequest: it is not complete, or not what the header says.
        MissingExtra: python-multipart is not installed.
    """
    try:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header
    except ModuleNotFoundError as error:
        if error.name != "python_multipart":  # installed but broken: show the real cause
            raise
        raise MissingExtra("python_multipart", "service") from None
    logging.getLogger("python_multipart.multipart").disabled = True  # a client's faults do not belong on stderr
    boundary = parse_options_header(header)[1].get(b"boundary")
    if not boundary:
        raise InvalidRequest("multipart/form-data: the Content-Type has no boundary")
    reader = _Reader(parse_options_header)
    try:
        parser = MultipartParser(boundary, reader.callbacks(), max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER)
        parser.write(body)
    except FormParserError as error:
        raise InvalidRequest(f"multipart/form-data: {error}") from None
    if not reader.is_complete:
        raise InvalidRequest("multipart/form-data: the body ends before its last boundary")
    if not reader.parts:
        raise InvalidRequest("multipart/form-data: expected at least one part")
    return reader.parts


class _Reader:
    """Collects the parts. The whole body is parsed at once, so the content of each is one slice."""

    def __init__(self, parse_options: Callable[[bytes], tuple[bytes, dict[bytes, bytes]]]) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._parse_options = parse_options
        self._field = b""
        self._name: bytes | None = None
        self._data = b""

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._note_field,
            "on_header_value": self._note_value,
            "on_headers_finished": self._check_headers,
            "on_part_data": self._note_data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise InvalidRequest(f"multipart/form-data: expected at most {MAX_PARTS} parts")
        self._name = None
        self._data = b""

    def _note_field(self, data: bytes, start: int, end: int) -> None:
        self._field = data[start:end].lower()

    def _note_value(self, data: bytes, start: int, end: int) -> None:
        value = data[start:end]
        if self._field == b"content-disposition":
            self._name = self._parse_options(value)[1].get(b"name")
        elif self._field == b"content-transfer-encoding" and value.lower() not in PLAIN:
            problem = f"part {len(self.parts)} has the Content-Transfer-Encoding {value.decode('latin-1')!r}"
            raise InvalidRequest(f"multipart/form-data: {problem}; send it as it is, in binary")

    def _check_headers(self) -> None:
        if self._name is None:
            problem = f"part {len(self.parts)} has no name; expected Content-Disposition: form-data; name=..."
            raise InvalidRequest(f"multipart/form-data: {problem}")

    def _note_data(self, data: bytes, start: int, end: int) -> None:
        self._data = data[start:end]

    def _end(self) -> None:
        assert self._name is not None
        self.parts.append(Part(self._name.decode("utf-8", "replace"), self._data))

    def _complete(self) -> None:
        self.is_complete = True

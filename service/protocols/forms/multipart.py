"""
Multipart bodies (RFC 7578), as forms and `curl -F` send them: read in memory, nothing is written to disk.

The boundary is searched for, which takes 0.1 s in 64 MiB. The library python-multipart looks at each byte in Python
where a body is full of what may begin a boundary, and would keep the event loop busy for ten seconds.
"""

import re
from typing import Final, NamedTuple

from snooze.service.errors import InvalidRequest

MAX_PARTS: Final = 1024
MAX_HEAD: Final = 2048  # bytes of the headers of a part
PLAIN: Final = (b"7bit", b"8bit", b"binary")
PARAMETER: Final = re.compile(rb';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)')
ESCAPED: Final = re.compile(rb"\\(.)")


class Part(NamedTuple):
    """One file or field of a form: its name, and its content."""

    name: str
    data: bytes


def read_parts(header: bytes, body: bytes) -> list[Part]:
    """
    Return the parts of a body, whose Content-Type is `header`, in their order.

    Raises:
        InvalidRequest: it is not complete, or not what the header says.
    """
    boundary = _find_parameter(header, b"boundary")
    if not boundary:
        raise _refuse("the Content-Type has no boundary")
    delimiter = b"\r\n--" + boundary
    # What comes before the first boundary and after the last one does not count.
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    parts: list[Part] = []
    while at != -1:
        start = at + len(delimiter)
        if body.startswith(b"--", start):
            if not parts:
                raise _refuse("expected at least one part")
            return parts
        if len(parts) == MAX_PARTS:
            raise _refuse(f"expected at most {MAX_PARTS} parts")
        end = body.find(b"\r\n\r\n", start, start + MAX_HEAD)
        if end == -1 and start + MAX_HEAD <= len(body):
            raise _refuse(f"part {len(parts)} has no headers that end within {MAX_HEAD} bytes")
        if end == -1:
            break
        name = _read_name(len(parts), body[start:end])
        at = body.find(delimiter, end + 4)
        parts.append(Part(name, body[end + 4 : at]))
    raise _refuse("the body ends before its last boundary")


def _read_name(number: int, head: bytes) -> str:
    """Return the name of a part with these headers."""
    name = None
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition":
            name = _find_parameter(value, b"name")
        elif field.strip().lower() == b"content-transfer-encoding" and value.strip().lower() not in PLAIN:
            encoding = value.strip().decode("latin-1")
            problem = f"part {number} has the Content-Transfer-Encoding {encoding!r}"
            raise _refuse(f"{problem}; send it as it is, in binary")
    if name is None:
        raise _refuse(f"part {number} has no name; expected Content-Disposition: form-data; name=...")
    return name.decode("utf-8", "replace")


def _find_parameter(value: bytes, name: bytes) -> bytes | None:
    """Return a parameter of the value of a header, such as `boundary`; None if it has none."""
    for found in PARAMETER.finditer(value):
        if found[1].lower() == name:
            return ESCAPED.sub(rb"\1", found[2][1:-1]) if found[2].startswith(b'"') else found[2]
    return None


def _refuse(problem: str) -> InvalidRequest:
    return InvalidRequest(f"multipart/form-data: {problem}")

"""Bodies of the plain protocol by their media type. Which types a model takes follows from its adapter and inputs."""

import re
from typing import Any, Final

from snooze.service.errors import InvalidRequest, UnsupportedMedia
from snooze.service.messages import Call
from snooze.service.protocols.forms.raw import decode_text
from snooze.service.protocols.plain import decode_json, stack, takes_texts
from snooze.service.protocols.tensors import Signature
from snooze.service.requests import WIDE_FACTOR, memory_needed

JSON: Final = "application/json"
CSV: Final = "text/csv"
TEXT: Final = "text/plain"
MULTIPART: Final = "multipart/form-data"
PICTURES: Final = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")
SYNONYMS: Final = {"application/x-www-form-urlencoded": JSON, "text/json": JSON}
CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
UTF8: Final = ("utf-8", "utf8", "us-ascii")

# What reading takes beside the texts themselves: a field of CSV is a string and its place in a list.
FIELD_BYTES: Final = 80
PART_BYTES: Final = 1024


def media_types(signature: Signature) -> tuple[str, ...]:
    """Return the media types that a model takes."""
    if signature.adapter is not None and signature.adapter.kind == "image":
        return (JSON, *PICTURES, MULTIPART)
    if takes_texts(signature):
        return JSON, TEXT, MULTIPART
    return (JSON, CSV, MULTIPART) if takes_csv(signature) else (JSON,)


def takes_csv(signature: Signature) -> bool:
    """Return whether a model takes the rows of a table: by its adapter, or as the rows of its only matrix."""
    if signature.adapter is not None:
        return signature.adapter.kind == "table"
    (spec, *others) = signature.inputs.values()
    return not others and spec.kind in "fiu" and len(spec.shape) == 2


def decode_form(signature: Signature, header: bytes, body: bytes) -> Call:
    """
    Return the call of a body whose Content-Type is `header`.

    Raises:
        UnsupportedMedia: the model does not take such a body.
        InvalidRequest: the body is not what the header says.
        InvalidTensor, InvalidRow: the rows do not fit the model.
    """
    media = check_media(signature, header)
    if media == JSON:
        return decode_json(signature, body)
    parts = [body]
    if media == MULTIPART:
        from snooze.service.protocols.forms.multipart import read_parts

        parts = [part.data for part in read_parts(header, body)]
    elif not body:
        raise InvalidRequest(f"the body is empty; expected {media}")
    return call_parts(signature, parts)


def call_parts(signature: Signature, parts: list[bytes]) -> Call:
    """Return the call of at least one text or picture, or of one file of CSV. Errors as of `decode_form`."""
    if takes_csv(signature):
        from snooze.service.protocols.forms.csv import decode_csv

        if len(parts) > 1:
            raise InvalidRequest(f"expected one file of CSV, got {len(parts)} parts")
        return decode_csv(signature, parts[0])
    rows: list[Any] = parts
    if takes_texts(signature):
        rows = [decode_text(part, number) for number, part in enumerate(parts)]
    if signature.adapter is not None:
        return Call({}, signature.output_names, raw=rows)
    (spec,) = signature.inputs.values()
    return Call({spec.name: stack(spec, rows, booleans=False)}, signature.output_names)


def check_media(signature: Signature, header: bytes) -> str:
    """Return the media type that a Content-Type names. Raises UnsupportedMedia."""
    text = header.decode("latin-1")
    media = text.partition(";")[0].strip().lower()
    media = SYNONYMS.get(media, media)
    taken = media_types(signature)
    charset = CHARSET.search(text)
    if media not in taken or (charset is not None and charset[1].lower() not in UTF8):
        raise UnsupportedMedia(text, signature.model, taken)
    return media


def estimate_form(signature: Signature, header: bytes, body: bytes, enough: int) -> int:
    """Return what `requests.memory_needed` returns for JSON, for a body whose Content-Type is `header`."""
    media = check_media(signature, header)
    if media == JSON:
        return memory_needed(body, len(body), signature.texts, enough)
    needed = 0
    if media == MULTIPART:
        needed += len(body) + PART_BYTES * body.count(b"\r\n\r\n")
    if takes_csv(signature):
        needed += FIELD_BYTES * (body.count(b",") + body.count(b"\n") + body.count(b"\r"))
    if takes_csv(signature) or takes_texts(signature):
        needed += WIDE_FACTOR * len(body)
    return needed

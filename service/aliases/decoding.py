"""
What old clients send: rows in a field of JSON or of a form, or a body as `/predict` takes it.

The field holds a list of rows, or a single row: a text, a picture in base64, an object, or the list of numbers that is
one row. Several fields of this name in a form are several rows. Other fields are ignored.
"""

from collections.abc import Container, Mapping
from typing import Any, Final

import numpy as np
import orjson

from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service.errors import InvalidRequest
from snooze.service.messages import Call
from snooze.service.protocols import plain
from snooze.service.protocols.plain import CHUNK_ROWS, binary_path, call_rows, takes_texts
from snooze.service.protocols.tensors import LONG_LIST, Signature, brief, may_hold_booleans
from snooze.service.requests import memory_needed, parse_json

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
MAX_FIELDS: Final = 1024
ROWS: Final = "rows"
DIGITS: Final = np.full(256, 16, np.uint8)  # the value of each hexadecimal digit, 16 for other characters
DIGITS[np.frombuffer(b"0123456789abcdefABCDEF", np.uint8)] = [*range(16), *range(10, 16)]


class AliasCall(Call):
    """
    A call that knows whether a `single` row was sent or a list of rows.

    If what was `sent` is answered, it is kept as JSON, up to `CHUNK_ROWS` rows in each text.
    """

    __slots__ = ("sent", "single")

    def __init__(self, call: Call, single: bool, sent: list[bytes]) -> None:
        super().__init__(call.feeds, call.outputs, raw=call.raw)
        self.single = single
        self.sent = sent


def decode(
    signature: Signature, headers: Mapping[bytes, bytes], body: bytes, field: str | None, echo: bool
) -> AliasCall:
    """
    Return the call that the rows in the `field` of a request describe; `echo` says that what was sent is answered.

    Raises:
        InvalidRequest: there is no such field, or it holds no row.
        InvalidTensor, InvalidRow: the rows do not fit the model.
        UnsupportedMedia: the model does not take such a body.
    """
    kind = find_kind(signature, headers, body, field)
    if kind == FORM:
        return _decode_form(signature, body, field, echo)
    if kind != JSON:
        return _decode_parts(signature, kind, headers[b"content-type"], body, field, echo)
    if len(body) > LONG_LIST and not echo and (call := _read_long_list(signature, body, field)) is not None:
        return call
    value = _pick(parse_json(body, binary_path(signature)), field)
    return _call_value(signature, value, may_hold_booleans(body, 0), echo)


def estimate_memory(
    signature: Signature, headers: Mapping[bytes, bytes], body: bytes, field: str | None, enough: int
) -> int:
    """Return what `requests.memory_needed` returns. Raises UnsupportedMedia."""
    kind = find_kind(signature, headers, body, field)
    if kind == FORM:
        return MEMORY_FACTOR * len(body)
    if kind == JSON:
        return memory_needed(body, len(body), signature.texts, enough)
    return plain.estimate_memory(signature, headers, body, enough)


def find_kind(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, field: str | None) -> str:
    """
    Return the media type of a body: that of forms, of JSON, or another one that the model takes.

    Many clients call JSON something else, such as `curl -d` a form, and `fetch` a text. But no form begins like JSON,
    and only JSON and forms have fields. Raises UnsupportedMedia.
    """
    header = headers.get(b"content-type")
    if header is not None and header.startswith(FORM.encode()) and body.lstrip()[:1] not in (b"{", b"["):
        return FORM
    if header in plain.JSON_MEDIA:
        return JSON
    from snooze.service.protocols.forms.media import MULTIPART, check_media

    assert header is not None
    media = check_media(signature, header)
    return JSON if field is not None and media != MULTIPART else media


def is_single(signature: Signature, value: Any) -> bool:
    """Return whether a value is one row, and not a list of rows."""
    if type(value) is not list:
        return True
    adapter: Any = signature.adapter
    if adapter is not None and adapter.kind != "table" and (not value or type(value[0]) is not list):
        return False  # texts, or pictures in base64
    if adapter is not None and adapter.kind == "table":
        depth = int(len(adapter.names) > 1)
    else:
        shapes = [spec.shape[1:] for spec in signature.inputs.values()]
        depth = 0 if len(shapes) > 1 or shapes[0] == (1,) else len(shapes[0])
    for _ in range(depth):
        value = value[0] if value else []
        if type(value) is not list:
            return type(value) is not dict
    return False


def write_rows(rows: list[Any]) -> bytes:
    """Return rows as JSON with commas between them."""
    return orjson.dumps(rows)[1:-1]  # a copy: what orjson returns keeps the memory that it had reserved


def _pick(document: Any, field: str | None) -> Any:
    """Return the value of the field in a body of JSON."""
    if field is None:
        return document[ROWS] if type(document) is dict and ROWS in document else document
    if type(document) is not dict or field not in document:
        raise InvalidRequest(f"expected an object with the field {field!r}")
    return document[field]


def _call_value(signature: Signature, value: Any, booleans: bool, echo: bool) -> AliasCall:
    single = is_single(signature, value)
    rows = [value] if single else value
    if not rows:
        raise InvalidRequest("expected at least one row, got an empty list")
    sent = [write_rows(rows[at : at + CHUNK_ROWS]) for at in range(0, len(rows), CHUNK_ROWS)] if echo else []
    return AliasCall(call_rows(signature, rows, booleans), single, sent)


def _read_long_list(signature: Signature, body: bytes, field: str | None) -> AliasCall | None:
    """Return the call of a body with a long list of numbers, or None if it has to be read the other way."""
    if len(signature.inputs) > 1 or (signature.adapter is not None and signature.adapter.kind == "table"):
        return None
    from snooze.service.protocols.numbers import read_rows

    (spec,) = signature.inputs.values()
    found = read_rows(spec, body, field or ROWS)
    if found is None or (field is not None and type(found[0]) is not dict):
        return None
    return AliasCall(Call({spec.name: found[1]}, signature.output_names), single=False, sent=[])


def _decode_form(signature: Signature, body: bytes, field: str | None, echo: bool) -> AliasCall:
    """Return the call of a form that is not multipart: of a table each field may be a column."""
    from snooze.service.protocols.forms.media import takes_csv

    adapter: Any = signature.adapter
    by_column = field is None and adapter is not None and adapter.kind == "table"
    wanted = dict.fromkeys(adapter.names if by_column else (field or ROWS,))
    columns = _read_fields(body, wanted)
    if by_column and columns:
        return _call_columns(signature, columns, echo)
    if not columns:
        raise InvalidRequest(f"expected a form with the field {next(iter(wanted))!r}")
    ((name, texts),) = columns.items()
    if takes_csv(signature) and not texts[0].lstrip().startswith(("[", "{")):
        from snooze.service.protocols.forms.csv import decode_csv

        lines = "\n".join(texts)
        return _keep(decode_csv(signature, lines.encode()), signature, "\n" not in lines.strip(), echo)
    is_json = not takes_texts(signature) and (adapter is None or adapter.kind != "image")
    values = [_parse_field(name, text) for text in texts] if is_json else texts
    return _call_value(signature, values[0] if len(values) == 1 else values, True, echo)


def _read_fields(body: bytes, wanted: Container[str]) -> dict[str, list[str]]:
    """Return the values of the `wanted` fields of a form."""
    if body.count(b"&") >= MAX_FIELDS:
        raise InvalidRequest(f"expected a form with at most {MAX_FIELDS} fields")
    found: dict[str, list[str]] = {}
    try:
        for pair in body.split(b"&"):
            quoted, _, text = pair.partition(b"=")
            if (name := unquote(quoted)) in wanted:
                found.setdefault(name, []).append(unquote(text))
    except UnicodeDecodeError:
        raise InvalidRequest("the form is not UTF-8") from None
    return found


def _call_columns(signature: Signature, columns: dict[str, list[str]], echo: bool) -> AliasCall:
    """Return the call of a form whose fields are columns of a table: one row, or as many as each field has values."""
    count = len(next(iter(columns.values())))
    if any(len(column) != count for column in columns.values()):
        raise InvalidRequest("the fields of the form have different numbers of values")
    return _keep(Call({}, signature.output_names, raw=columns), signature, count == 1, echo)


def unquote(text: bytes) -> str:
    """
    Return what `%41` and `+` stand for in a form. (`urllib` would take 9 s and 1.2 GB for 16 MiB of the former.)

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text.decode()
    characters = np.frombuffer(text, np.uint8)
    at = np.flatnonzero(characters[:-2] == ord("%"))
    high, low = DIGITS[characters[at + 1]], DIGITS[characters[at + 2]]
    valid = (high < 16) & (low < 16)
    at = at[valid]
    values, kept = characters.copy(), np.ones(len(text), bool)
    values[at] = 16 * high[valid] + low[valid]
    kept[at + 1] = kept[at + 2] = False
    return values[kept].tobytes().decode()


def _parse_field(field: str, text: str) -> Any:
    try:
        return parse_json(text.encode())
    except InvalidRequest:
        raise InvalidRequest(f"field {field!r}: expected JSON such as [5.1, 3.5], got {brief(text)}") from None


def _decode_parts(
    signature: Signature, media: str, header: bytes, body: bytes, field: str | None, echo: bool
) -> AliasCall:
    """Return the call of texts, pictures or CSV: in the parts of a multipart form, or as the whole body."""
    from snooze.service.protocols.forms.media import MULTIPART, call_parts, takes_csv
    from snooze.service.protocols.forms.raw import decode_text

    parts = [body]
    if media == MULTIPART:
        from snooze.service.protocols.forms.multipart import read_parts

        found = read_parts(header, body)
        adapter: Any = signature.adapter
        if field is None and adapter is not None and adapter.kind == "table":
            columns: dict[str, list[str]] = {}
            for number, part in enumerate(found):
                if part.name in adapter.names:
                    columns.setdefault(part.name, []).append(decode_text(part.data, number))
            if columns:
                return _call_columns(signature, columns, echo)
        parts = [part.data for part in found if field in (None, part.name)]
        if not parts:
            raise InvalidRequest(f"expected a form with the field {field!r}")
    single = len(parts) == 1 and not takes_csv(signature)
    return _keep(call_parts(signature, parts), signature, single, echo)


def _keep(call: Call, signature: Signature, single: bool, echo: bool) -> AliasCall:
    """Return a call that keeps what was sent, as far as its rows show that."""
    sent: list[bytes] = []
    while echo and (rows := _rows_of(call, signature, len(sent) * CHUNK_ROWS)):
        sent.append(write_rows(rows))
    return AliasCall(call, single, sent)


def _rows_of(call: Call, signature: Signature, start: int) -> list[Any]:
    """Return up to `CHUNK_ROWS` rows of a call, from row `start` on."""
    part = slice(start, start + CHUNK_ROWS)
    if call.raw is None:
        (array,) = call.feeds.values()
        return (array.reshape(-1) if takes_texts(signature) else array)[part].tolist()  # type: ignore[no-any-return]
    if isinstance(call.raw, dict):
        fields = zip(*(column[part] for column in call.raw.values()), strict=True)
        return [dict(zip(call.raw, row, strict=True)) for row in fields]
    return list(call.raw[part])

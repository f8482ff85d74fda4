"""What the form of a model begins with: drawn rows, never anybody's data."""

from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from snooze.bundle.adapters.interface import SEED
from snooze.service.errors import InvalidRequest, NotServed
from snooze.service.messages import Response
from snooze.service.openapi.plain import draw_rows
from snooze.service.responses import JSON
from snooze.service.runtime.model import Model

MAX_SEED: Final = 2**31


def draw(model: Model, seed: int = SEED) -> list[Any] | None:
    """Return drawn rows as `/predict` takes them, a picture as a PNG file; None if nobody would read them all."""
    if model.adapter is not None:
        return model.adapter.draw(1, seed)
    return draw_rows(model.signature(), seed=seed)


def respond(model: Model, query: bytes) -> Response:
    """
    Return what can be posted to `/predict`: JSON, or a picture. `seed=N` in the query draws another one.

    Raises:
        InvalidRequest: the seed is not a number.
        NotServed: the example would be too large.
    """
    rows = draw(model, _seed(query))
    if rows is None:
        raise NotServed(f"an example for model '{model.name}'", "a row of it has too many values to be read")
    if isinstance(rows[0], bytes):
        return Response(200, [(b"content-type", b"image/png")], rows[0])
    return Response(200, [JSON], orjson.dumps({"rows": rows}))


def _seed(query: bytes) -> int:
    text = parse_qs(query.decode("latin-1")).get("seed", [str(SEED)])[0]
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_SEED:
        raise InvalidRequest(f"seed: expected an integer from 0 to {MAX_SEED}, got {text[:20]!r}")
    return int(text)

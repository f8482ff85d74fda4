"""An alias of a model as a protocol of its own: it decodes what old clients send, and encodes what they expect."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from snooze.service.aliases import template
from snooze.service.aliases.decoding import AliasCall, decode, estimate_memory, write_rows
from snooze.service.aliases.reading import Alias
from snooze.service.aliases.template import SENT, Each, Leaf
from snooze.service.errors import InvalidAliases, NotInJson
from snooze.service.messages import Call, Headers
from snooze.service.openapi.plain import response
from snooze.service.protocols import plain
from snooze.service.protocols.plain import CHUNK_ROWS
from snooze.service.protocols.tensors import Array, Signature, finite
from snooze.service.responses import JSON


class AliasCodec:
    """Decodes and encodes by one alias, for one version of its model."""

    PROTOCOL = "plain"

    def __init__(self, alias: Alias, signature: Signature) -> None:
        """
        Prepare an alias for a model.

        Raises:
            InvalidAliases: the answer names what this model does not have.
        """
        facts = {"model": signature.model, "version": signature.version}
        self.answer = template.parse(alias.answer, facts)
        self._pieces = list(template.write(self.answer))
        self._parts = list(template.parts(self.answer))
        self._leaves = list(dict.fromkeys(template.leaves(self.answer)))
        for leaf in self._leaves:
            known = list(signature.outputs) if leaf.kind == "output" else answerable(signature)
            if leaf.name not in known:
                problem = f"answer: model '{signature.model}' version {signature.version} has no {leaf.name!r}"
                raise InvalidAliases(alias.file, f"{problem}; expected one of: {', '.join(known)}", alias.path)
        self._field = alias.input
        self._echoes = SENT in self._leaves

    def decode(
        self, signature: Signature, headers: Mapping[bytes, bytes], body: bytes, query: bytes = b""
    ) -> AliasCall:
        """Return the call that the rows in the field of a request describe. Errors as of `decoding.decode`."""
        return decode(signature, headers, body, self._field, self._echoes)

    def estimate_memory(self, signature: Signature, headers: Mapping[bytes, bytes], body: bytes, enough: int) -> int:
        """Return the most bytes that `decode` allocates. Raises UnsupportedMedia."""
        return estimate_memory(signature, headers, body, self._field, enough)

    def encode(self, signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
        """
        Return the body of a response and the headers that describe it.

        Raises:
            NotInJson: an output holds NaN or Infinity.
        """
        assert isinstance(call, AliasCall)
        rows = len(next(iter(call.feeds.values())))
        # By part of the answer, as JSON; the Python objects of a row take much memory: few rows at a time.
        written: list[list[bytes]] = [[] for _ in self._parts]
        for start in range(0, rows, CHUNK_ROWS):
            columns = self._columns(signature, call, arrays, rows, start)
            for chunks, part in zip(written, self._parts, strict=True):
                values = (
                    columns[part]
                    if isinstance(part, Leaf)
                    else _fill_each(part, columns, min(CHUNK_ROWS, rows - start))
                )
                chunks.append(write_rows(values))
        if any(b"null" in chunk for chunks in written for chunk in chunks):
            for name, array in zip(call.outputs, arrays, strict=True):
                if not finite(array):
                    raise NotInJson(name, plain.binary_path(signature))
        found = iter(written)
        pieces: list[bytes] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                pieces.append(piece)
            elif call.single and isinstance(piece, Leaf):
                pieces += next(found)
            else:
                pieces += (b"[", b",".join(next(found)), b"]")
        return b"".join(pieces), [JSON]

    def _columns(
        self, signature: Signature, call: AliasCall, arrays: list[Array], rows: int, start: int
    ) -> dict[Leaf, list[Any]]:
        """Return what takes the place of each leaf, for up to `CHUNK_ROWS` of the rows from row `start` on."""
        predictions = plain.predictions_of(signature, call, arrays, rows, start)
        count = len(predictions)
        columns: dict[Leaf, list[Any]] = {}
        for leaf in self._leaves:
            if leaf.kind == "sent":
                columns[leaf] = orjson.loads(b"[%s]" % call.sent[start // CHUNK_ROWS])
            elif leaf.kind == "prediction":
                columns[leaf] = [prediction.get(leaf.name) for prediction in predictions]
            else:
                array = arrays[call.outputs.index(leaf.name)]
                by_row = array.shape[:1] == (rows,)
                columns[leaf] = array[start : start + count].tolist() if by_row else [array.tolist()] * count
        return columns


def answerable(signature: Signature) -> list[str]:
    """Return what an answer may name: what was sent, unless it is a picture, and what `/predict` answers."""
    sent = [] if signature.adapter is not None and signature.adapter.kind == "image" else [SENT.name]
    return [*sent, *response(signature)["properties"]["predictions"]["items"]["properties"]]


def _fill_each(each: Each, columns: Mapping[Leaf, Sequence[Any]], count: int) -> list[Any]:
    def fill(row: int) -> Any:
        return template.fill(each.template, lambda leaf: columns[leaf][row])

    return list(map(fill, range(count)))

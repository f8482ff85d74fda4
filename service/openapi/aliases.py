"""The bodies of aliases as JSON Schema, and examples of them."""

from typing import Any

import numpy as np
import orjson

from snooze.service.aliases.codec import AliasCodec
from snooze.service.aliases.decoding import FORM, ROWS
from snooze.service.aliases.reading import Alias
from snooze.service.aliases.template import SENT, Const, Each, Leaf, Template
from snooze.service.openapi import plain
from snooze.service.openapi.schemas import TEXT, Schema, any_of, list_of, object_of
from snooze.service.openapi.tensors import draw_tensors, nested, scalar
from snooze.service.protocols.forms.media import MULTIPART, media_types
from snooze.service.protocols.plain import takes_texts
from snooze.service.protocols.tensors import Signature


class AliasBodies:
    """What the requests and responses of one alias look like."""

    def __init__(self, alias: Alias, codec: AliasCodec) -> None:
        self._field = alias.input or ROWS
        self._codec = codec

    def request(self, signature: Signature) -> Schema:
        """Return the schema of a request: one row or a list of them, in an object."""
        rows = plain.request(signature)["properties"][ROWS]
        rows.pop("description", None)  # of the bare list, which an alias with a field does not take
        return object_of({self._field: any_of(rows["items"], rows)})

    def response(self, signature: Signature) -> Schema:
        """Return the schema of a response."""
        return _schema(self._codec.answer, signature, each=False)

    def other_requests(self, signature: Signature) -> dict[str, Schema]:
        """Return the content of forms, by media type."""
        kinds = {FORM: TEXT} if takes_texts(signature) else {}
        if MULTIPART in media_types(signature):
            kinds[MULTIPART] = plain.BINARY
        return {media: {"schema": object_of({self._field: any_of(one, list_of(one))})} for media, one in kinds.items()}

    def example(self, signature: Signature) -> Any:
        """Return a drawn request, or None if it would be too large."""
        drawn = plain.example(signature)
        return None if drawn is None else {self._field: drawn[ROWS]}

    def answer(self, signature: Signature) -> Any:
        """Return what a model with drawn outputs would answer to the drawn request; None if that would be too large."""
        request = self.example(signature)
        if request is None:
            return None
        rows = len(request[self._field])
        arrays = draw_tensors(signature.outputs.values(), rows)
        if arrays is None:
            return None
        call = self._codec.decode(signature, {}, orjson.dumps(request))
        call.feeds = {"": np.zeros(rows)}  # only their number matters
        return orjson.loads(self._codec.encode(signature, call, list(arrays.values()), b"")[0])

    def complete(self, components: dict[str, dict[str, Any]], name: str, signature: Signature) -> None:
        """Add to the bodies of an alias what those of a protocol do not have: an example of the answer."""
        answer = self.answer(signature)
        if answer is not None:
            example = {"summary": "Drawn, not real data", "value": answer}
            components["responses"][name]["content"]["application/json"]["examples"] = {"drawn": example}


def _schema(template: Template, signature: Signature, each: bool) -> Schema:
    """Return the schema of what becomes of a template, of one row within `$each`."""
    if isinstance(template, Const):
        return {"const": template.value}
    if isinstance(template, Each):
        return list_of(_schema(template.template, signature, each=True))
    if isinstance(template, Leaf):
        one = _leaf(template, signature)
        return one if each else any_of(one, list_of(one))
    if isinstance(template, list):
        items = [_schema(item, signature, each) for item in template]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    return object_of({key: _schema(item, signature, each) for key, item in template.items()})


def _leaf(leaf: Leaf, signature: Signature) -> Schema:
    if leaf == SENT:
        return dict(plain.request(signature)["properties"][ROWS]["items"])
    if leaf.kind == "prediction":
        return dict(plain.response(signature)["properties"]["predictions"]["items"]["properties"][leaf.name])
    spec = signature.outputs[leaf.name]
    return nested(scalar(spec), spec.shape[1:]) if spec.shape[:1] == (-1,) else {}

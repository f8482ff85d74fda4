"""What the handlers answer that are not predictions, by their names in the routing table."""

from typing import Final, NamedTuple

from snooze.service.openapi.schemas import COUNT, TEXT, Schema, list_of, object_of


class Page(NamedTuple):
    """
    One handler: its answer as JSON, the statuses of its errors, and the body of its request.

    An answer that is None is text, and one that is `NEVER` is always an error. `text` are its media types where it is
    no JSON, or not for every client. `unlisted` says that the path also takes models that are not loaded.
    """

    summary: str
    answer: Schema | None
    errors: tuple[int, ...] = ()
    request: Schema | None = None
    unlisted: bool = False
    text: tuple[str, ...] = ()


NEVER: Final[Schema] = {}


def _object(**properties: Schema) -> Schema:
    return object_of(properties)


DURATION: Final = _object(count=COUNT, ns=COUNT)
TENSORS: Final = list_of(_object(name=TEXT, datatype=TEXT, shape=list_of({"type": "integer"})))
MODEL: Final = _object(name=TEXT, versions=list_of(TEXT), platform=TEXT, inputs=TENSORS, outputs=TENSORS)
MODEL["properties"]["adapter"] = _object(kind=TEXT, inputs=TENSORS) | {
    "description": "Takes raw rows, if there is one."
}
STATISTICS: Final = _object(
    name=TEXT,
    version=TEXT,
    last_inference=COUNT,
    inference_count=COUNT,
    execution_count=COUNT,
    inference_stats=_object(
        success=DURATION,
        fail=DURATION,
        queue=DURATION,
        compute_input=DURATION,
        compute_infer=DURATION,
        compute_output=DURATION,
        cache_hit=DURATION,
        cache_miss=DURATION,
    ),
    batch_stats=list_of({"type": "object"}),
)
WITH_BODY: Final = (400, 413, 415)
STATUS: Final = _object(
    version=TEXT, state={"enum": ["AVAILABLE", "END"]}, status=_object(error_code=TEXT, error_message=TEXT)
)
PARAMETERS: Final[Schema] = {"type": "object", "properties": {"parameters": {"type": ["object", "null"]}}}
PAGES: Final = {
    "root": Page(
        "Say that the server is alive, as KServe's client asks; a browser gets a page where people try the models",
        _object(status={"const": "alive"}),
        text=("text/html",),
    ),
    "static": Page(
        "Return a style or a script of the pages", None, (404,), text=("text/css", "text/javascript", "image/svg+xml")
    ),
    "example": Page(
        "Return a drawn request for a model; `?seed=N` draws another one",
        _object(rows={"type": "array"}),
        (400, 404),
        text=("image/png",),
    ),
    "report": Page("Return the report of a model, if reports are switched on", None, (404,), text=("text/html",)),
    "alive": Page("Say that the process is alive", _object(live={"const": True})),
    "ready": Page("Say whether the server can answer", _object(ready={"const": True}, live={"const": True})),
    "metrics": Page("Return the metrics in Prometheus' text format", None, text=("text/plain",)),
    "openapi": Page("Return this document", _object(openapi=TEXT, info={"type": "object"}, paths={"type": "object"})),
    "docs": Page("Return this document as a page for people", None, text=("text/html",)),
    "server": Page("Describe the server", _object(name=TEXT, version=TEXT, extensions=list_of(TEXT))),
    "model": Page(
        "Describe the signature of a model",
        MODEL,
        (404,),
    ),
    "model_ready": Page("Say whether a model can answer", _object(name=TEXT, ready={"const": True}), (404,)),
    "index": Page(
        "List all versions of all models",
        list_of(_object(name=TEXT, version=TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=TEXT)),
        WITH_BODY,
        {"type": "object", "properties": {"ready": {"type": "boolean", "description": "Only those that can answer."}}},
    ),
    "statistics": Page("Return how often and how long models ran", _object(model_stats=list_of(STATISTICS)), (404,)),
    "load": Page("Load a model, or its new versions", {"type": "object"}, WITH_BODY, PARAMETERS, unlisted=True),
    "unload": Page("Stop serving a model", {"type": "object"}, WITH_BODY, PARAMETERS, unlisted=True),
    "models": Page("List the names of all models", _object(models=list_of(TEXT))),
    "model_status": Page(
        "Say whether a model can answer, and the state of its versions",
        _object(name=TEXT, ready={"const": True}, model_version_status=list_of(STATUS)),
        (404,),
    ),
    "verb": Page("Refuse what V1 has besides predictions", NEVER, (404, 413, 501)),
}

"""
The page at `/docs`: the OpenAPI document for people, without a script.

It is rendered from the document alone, so it shows what client generators get. What all operations have in common
(headers, errors) is there once, and each operation links to it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby
from shlex import quote
from typing import Any, Final
from urllib.parse import quote as quote_url

from snooze.service.messages import Response
from snooze.service.pages import frame
from snooze.service.pages.schema import Row, Schemas, layout
from snooze.service.responses import compress

TITLES: Final = {
    "plain": "Plain: rows in, labels and values out",
    "v1": "KServe V1, as TensorFlow Serving",
    "v2": "Open Inference Protocol (V2)",
}
MAX_EXAMPLE: Final = 6000  # characters; nobody reads or copies more
MAX_OPEN: Final = 3  # models whose first operation is not folded
HOST: Final = re.compile(rb"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
DEFAULT_HOST: Final = b"127.0.0.1:8080"
ADDRESS: Final = "{address}"  # where the first command sets it

Operation = tuple[str, str, dict[str, Any]]  # method, path, and what the document says of it


def respond(parts: tuple[str, str], headers: Mapping[bytes, bytes], links: frame.Links) -> Response:
    """Return the page that `render` made, with the address by which the client knows the server."""
    host = headers.get(b"host", b"")
    host = host if HOST.fullmatch(host) else DEFAULT_HOST
    scheme = "https" if headers.get(b"x-forwarded-proto") == b"https" else "http"
    address = f"{scheme}://{host.decode()}"
    page = frame.respond("HTTP API", [address.join(parts)], ("page.css", "docs.css"), links)
    body, more = compress(page.body, headers)
    return Response(page.status, [*page.headers, *more], body)


def render(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the HTML of an OpenAPI document, before and after the address of the server."""
    before, after = "\n".join(_Page(document).html()).split(ADDRESS, 1)
    return before, after


class _Page:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = Schemas(document)
        self._document = document
        operations = [
            (method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()
        ]
        predictions = [one for one in operations if one[2].get("tags") and "." in one[2]["operationId"]]
        self._server = _join(one for one in operations if one not in predictions)
        self._models = {
            model: sorted(_join(own), key=_rank)
            for model, own in groupby(sorted(predictions, key=_model_of), _model_of)
        }

    def html(self) -> Iterator[str]:
        info = self._document["info"]
        yield f'<h1>HTTP API</h1><p class="note">Snooze {escape(info["version"])}. '
        yield 'Clients can be generated from <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        yield from self._contents()
        yield '<section aria-labelledby="address"><h2 id="address">Address</h2>'
        yield "<p>The commands below use the address of this server. Set it once in your shell:</p>"
        yield f"<pre><code>URL={ADDRESS}</code></pre>"
        yield "<p>It is the address of this page without <code>/docs</code>; behind a gateway it may be another one. "
        yield "The examples are drawn: they are no real data, and no model computed the answers. "
        yield "FILE and TEXT are yours to fill in.</p></section>"
        for model, operations in self._models.items():
            yield f'<section aria-labelledby="{_anchor(model)}"><h2 id="{_anchor(model)}">{escape(model)}</h2>'
            yield f'<p><a href="./?model={quote_url(model)}">Try it in the browser</a></p>'
            for i, same in enumerate(operations):
                title = TITLES.get(_protocol_of(same), "Alias")
                yield from self._operation(same, title, is_open=i == 0 and len(self._models) <= MAX_OPEN)
            yield "</section>"
        yield '<section aria-labelledby="server"><h2 id="server">Server</h2>'
        for same in self._server:
            yield from self._operation(same)
        yield "</section>"
        yield from self._headers()
        yield from self._errors()

    def _contents(self) -> Iterator[str]:
        yield '<nav class="contents" aria-label="Contents"><ul>'
        links = [(_anchor(model), model) for model in self._models]
        rest = [("server", "Server"), ("headers", "Headers"), ("errors", "Errors")]
        for target, text in [*links, *rest]:
            yield f'<li><a href="#{target}">{escape(text)}</a></li>'
        yield "</ul></nav>"

    def _operation(self, same: list[Operation], title: str = "", is_open: bool = False) -> Iterator[str]:
        """Yield operations that take and answer the same."""
        method, path, operation = same[0]
        name = escape(f"to-{operation['operationId']}")
        yield f'<details id="{name}"{" open" if is_open else ""}><summary>'
        yield f'<h3><b class="{escape(method)}">{escape(method.upper())}</b> <code>{_breakable(path)}</code></h3>'
        yield f"<span>{escape(title or operation['summary'])}</span></summary>"
        if len(same) > 1:
            yield f"<p>Also at {', '.join(f'<code>{_breakable(other)}</code>' for _, other, _ in same[1:])}.</p>"
        references = [reference for _, _, one in same for reference in one.get("parameters", ())]
        parameters = {one["name"]: one for one in map(self._schemas.resolve, references) if one["in"] != "header"}
        if parameters:
            yield from _table("Parameters", [self._row(*one) for one in parameters.items()])
        body = self._schemas.resolve(operation.get("requestBody", {}))
        yield from self._bodies(body.get("content", {}), "What is sent")
        yield "<h4>Example</h4>"
        yield from self._curl(method, _fill(path, parameters), body.get("content", {}))
        errors = {}
        for status, reference in operation["responses"].items():
            answer = self._schemas.resolve(reference)
            if status != "200":
                errors[status] = answer
                continue
            yield from self._bodies(answer.get("content", {}), "What comes back")
            yield from self._answer(answer.get("content", {}))
        links = ", ".join(f'<a href="#error-{status}">{status}</a>' for status in errors)
        yield f'<p>Errors: {links}. <a href="#headers">Headers</a></p></details>'

    def _row(self, name: str, one: Mapping[str, Any]) -> Row:
        """Return the row of a parameter or a header."""
        return Row(name, self._schemas.phrase(one["schema"]), one.get("required", False), one.get("description", ""))

    def _bodies(self, content: Mapping[str, Any], title: str) -> Iterator[str]:
        """Yield a table for each media type; those whose bodies are only a text or bytes are just named."""
        others = []
        for media, one in content.items():
            rows = self._schemas.rows(one.get("schema", {}))
            if media == "application/json" or len(rows) > 1:
                yield from _table(f"{title}: {media}", rows)
            else:
                others.append(f"<code>{escape(media)}</code>")
        if others:
            yield f"<p>{escape(title)}{' otherwise' if len(others) < len(content) else ''}: {', '.join(others)}.</p>"

    def _curl(self, method: str, path: str, content: Mapping[str, Any]) -> Iterator[str]:
        request = "" if method in ("get", "post") else f"-X {method.upper()} "
        url = f'"$URL"{quote(path)}'
        pictures = [media for media in content if media.startswith("image/")]  # one command says it for all
        shown = [
            _curl_body(media, one, self._example(one)) for media, one in content.items() if media not in pictures[1:]
        ]
        bodies = [body for body in shown if body]
        if not bodies:
            bodies = [" \\\n  -X POST"] if method == "post" else [""]
        for body in bodies:
            yield f"<pre><code>{escape(f'curl {request}{url}{body}')}</code></pre>"

    def _answer(self, content: Mapping[str, Any]) -> Iterator[str]:
        for one in content.values():
            example = self._example(one)
            if example is not None:
                text = layout(example)
                text = text if len(text) <= MAX_EXAMPLE else f"{text[:MAX_EXAMPLE]} …"
                yield f"<pre><code>{escape(text)}</code></pre>"

    def _example(self, content: Mapping[str, Any]) -> Any:
        """Return the first example of a body, or None."""
        for example in content.get("examples", {}).values():
            return self._schemas.resolve(example).get("value")
        return content.get("example")

    def _headers(self) -> Iterator[str]:
        components = self._document["components"]
        sent = [(one["name"], one) for one in components.get("parameters", {}).values() if one["in"] == "header"]
        yield '<section aria-labelledby="headers"><h2 id="headers">Headers</h2>'
        for title, headers in (("Sent", sent), ("Received", components.get("headers", {}).items())):
            yield from _table(title, [self._row(*one) for one in headers])
        yield "</section>"

    def _errors(self) -> Iterator[str]:
        yield '<section aria-labelledby="errors"><h2 id="errors">Errors</h2>'
        yield '<p>The body of every error is <code>{"error": "what is wrong, and what was expected"}</code>.</p>'
        yield "<table><thead><tr><th scope=col>Status</th><th scope=col>Meaning</th></tr></thead><tbody>"
        for status, one in self._document["components"]["responses"].items():
            if status.isdigit():
                yield f'<tr id="error-{status}"><th scope="row">{status}</th><td>{escape(one["description"])}</td></tr>'
        yield "</tbody></table></section>"


def _model_of(operation: Operation) -> str:
    return str(operation[2]["tags"][0])


def _protocol_of(same: list[Operation]) -> str:
    return str(same[0][2]["operationId"].partition(".")[0])


def _rank(same: list[Operation]) -> int:
    """Return the place of a prediction: an alias is first."""
    order = list(TITLES)
    return order.index(_protocol_of(same)) if _protocol_of(same) in order else -1


def _join(operations: Iterable[Operation]) -> list[list[Operation]]:
    """Return the operations, those together that take and answer the same."""
    joined: dict[str, list[Operation]] = {}
    for one in operations:
        key = json.dumps([one[0], one[2]["summary"], one[2].get("requestBody"), one[2]["responses"]])
        joined.setdefault(key, []).append(one)
    return list(joined.values())


def _table(caption: str, rows: list[Row]) -> Iterator[str]:
    yield f"<table><caption>{escape(caption)}</caption><thead><tr><th scope=col>Name</th><th scope=col>Value</th></tr>"
    yield "</thead><tbody>"
    for path, phrase, is_required, meaning in rows:
        name = f"<code>{_breakable(path)}</code>" if path else "the body" if phrase else "…"
        optional = "" if is_required else " <i>optional</i>"
        explained = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(meaning))
        explained = f"<small>{explained}</small>" if explained else ""
        yield f'<tr><th scope="row">{name}</th><td>{escape(phrase)}{optional}{explained}</td></tr>'
    yield "</tbody></table>"


def _curl_body(media: str, content: Mapping[str, Any], example: Any) -> str:
    """Return the options that send a body, or nothing if there is no example of it."""
    fields = content.get("schema", {}).get("properties", {})
    if media == "multipart/form-data":
        return "".join(f" \\\n  -F {quote(f'{name}=@FILE')}" for name in fields)
    if media == "application/x-www-form-urlencoded":
        return "".join(f" \\\n  --data-urlencode {quote(f'{name}=TEXT')}" for name in fields)
    header = f" \\\n  -H {quote(f'Content-Type: {media}')}"
    if media.startswith("image/"):
        return f"{header} \\\n  --data-binary @FILE"
    if example is None:
        return ""
    text = example if isinstance(example, str) else layout(example)
    if len(text) > MAX_EXAMPLE:
        return f"{header} \\\n  --data-binary @FILE"
    return f"{header} \\\n  --data-binary {quote(text)}"


def _anchor(model: str) -> str:
    return f"model-{quote_url(model)}"


def _fill(path: str, parameters: Mapping[str, Any]) -> str:
    """Return a path in which each parameter is one of its values, or its name in capitals."""
    for name, one in parameters.items():
        path = path.replace(f"{{{name}}}", str(one["schema"].get("enum", [name.upper()])[0]))
    return path


def _breakable(path: str) -> str:
    """Return a path that a narrow screen may break after a slash, a dot and a bracket."""
    return re.sub(r"([/.:\]])(?=.)", r"\1<wbr>", escape(path))

"""Ask an ASGI application for the response to a request that is complete."""

from collections.abc import Mapping
from typing import Any

from snooze.service.messages import Headers, Request, Response


async def ask(app: Any, request: Request, addresses: Mapping[str, Any]) -> Response:
    """Return the response of `app`; `addresses` are the `client` and `server` of its scope."""
    messages = [{"type": "http.request", "body": request.body, "more_body": False}]
    status = 0
    headers: Headers = []
    parts: list[bytes] = []

    async def receive() -> Mapping[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], [(name.lower(), value) for name, value in message["headers"]]
        else:
            parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "query_string": request.query,
        "headers": list(request.headers.items()),
        **addresses,
    }
    await app(scope, receive, send)
    return Response(status, headers, b"".join(parts))

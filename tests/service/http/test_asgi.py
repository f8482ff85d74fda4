import asyncio
from typing import Any

from snooze.service.http.asgi import ask
from snooze.service.messages import Request, Response


def test_an_application_sees_the_request_and_its_response_is_put_together() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        seen["messages"] = [await receive(), await receive()]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"A", b"1")]})
        await send({"type": "http.response.body", "body": b"one, ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    request = Request("PUT", "/a", {b"x": b"y"}, b"body", 0.0, 0.0, b"q=1")

    response = asyncio.run(ask(app, request, {"client": ("10.0.0.1", 1)}))

    assert response == Response(201, [(b"a", b"1")], b"one, two")
    assert (seen["method"], seen["path"], seen["query_string"], seen["client"]) == (
        "PUT",
        "/a",
        b"q=1",
        ("10.0.0.1", 1),
    )
    assert seen["headers"] == [(b"x", b"y")]
    assert seen["messages"] == [
        {"type": "http.request", "body": b"body", "more_body": False},
        {"type": "http.disconnect"},
    ]

"""
Snooze's application under uvicorn with a planted bug, which the fuzzer has to find.

* `500`: one value of an input breaks the application.
* `mixed`: of several pipelined requests, the last is answered first.
* `leak`: each request leaves 8 KiB behind.
"""

import os
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from snooze.service import Settings, create_app

BUG = sys.argv[1]
VALUE = str(2**31).encode()


class LastFirst(HttpToolsProtocol):
    """Answers pipelined requests in the wrong order."""

    def on_response_complete(self) -> None:
        """Turn the queue around, if it has at least two requests, before the next one is taken."""
        self.pipeline.reverse()
        super().on_response_complete()
        self.pipeline.reverse()


class Buggy:
    """The application with a bug."""

    def __init__(self) -> None:
        self.app = create_app(Settings.from_environ(os.environ))
        self.kept: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if BUG == "leak":
            self.kept.append(bytes(8192))

        async def see() -> Any:
            message = await receive()
            if BUG == "500" and VALUE in message.get("body", b""):
                raise RuntimeError("planted")
            return message

        await self.app(scope, see, send)


if __name__ == "__main__":
    uvicorn.run(
        Buggy(),
        port=int(os.environ["PORT"]),
        http=LastFirst if BUG == "mixed" else "httptools",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
    )

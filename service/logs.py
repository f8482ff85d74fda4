"""
One line on stderr for each thing that an operator wants to know: start, ready, stop, and errors that are ours.

No request is logged for being answered; no body and no header but the request's id is ever written.
"""

import sys
import time
from typing import Any, TextIO

from snooze.service.settings import Log as Format


class Log:
    """Writes lines as text or JSON, or not at all."""

    def __init__(self, format: Format, stream: TextIO | None = None) -> None:
        self._format = format
        self._stream = stream

    def write(self, event: str, message: str, **facts: Any) -> None:
        """Write one line: the event, a sentence, and the facts by name."""
        if self._format == "off":
            return
        if self._format == "json":
            import json  # orjson may be missing where only the command's parent process runs

            seconds = round(time.time(), 3)
            line = json.dumps({"time": seconds, "event": event, "message": message, **facts}, default=str)
        else:
            # A message may hold what a client sent: no line break of it becomes one of ours.
            line = "snooze: " + message.replace("\n", " ").replace("\r", " ")
        try:
            print(line, file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):
            # Nobody reads our log any more. Requests must be answered all the same.
            self._format = "off"

"""
One line on stderr for each event that concerns an operator: ready, stopped, and errors of the server.

Answered requests are not logged; no body and no header but the request's id is ever written.
"""

import sys
import time
from typing import Any, TextIO

from snooze.service.settings import Log as Format


class Log:
    """Write lines as text or JSON, or nothing."""

    def __init__(self, format: Format, stream: TextIO | None = None) -> None:
        self._format = format
        self._stream = stream

    def write(self, event: str, message: str, **facts: Any) -> None:
        """Write one line: the event, a sentence, and (as JSON only) the facts by name."""
        if self._format == "off":
            return
        if self._format == "json":
            import json

            seconds = round(time.time(), 3)
            line = json.dumps({"time": seconds, "event": event, "message": message, **facts}, default=str)
        else:
            # A message may hold text of a client: its line breaks must not become ours.
            line = "snooze: " + message.replace("\n", " ").replace("\r", " ")
        try:
            print(line, file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):
            # Nobody reads the log any more. Requests must be answered nevertheless.
            self._format = "off"

"""A server whose models do not run while FILE exists: `python held_server.py FILE`."""

import runpy
import sys
import time
from pathlib import Path
from typing import Any

import onnxruntime

HOLD = Path(sys.argv.pop(1))
create_session = onnxruntime.InferenceSession


class HeldSession:
    """A native session that waits before it runs."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *arguments: Any) -> Any:
        """Wait until the file is gone, then run."""
        while HOLD.exists():
            time.sleep(0.002)
        return self._session.run(*arguments)


def create_held_session(*arguments: Any, **options: Any) -> Any:
    """Return a session that waits before it runs."""
    session = create_session(*arguments, **options)
    session._sess = HeldSession(session._sess)
    return session


onnxruntime.InferenceSession = create_held_session
if __name__ == "__main__":
    runpy.run_module("snooze.service", run_name="__main__")

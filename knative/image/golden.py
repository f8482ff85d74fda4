"""Proof that bundles can be served: the real server, in a process of its own, checks their golden samples."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from snooze.knative.image.errors import NotServable, NotVerified

READY: Final = re.compile(r"^snooze: serving ")
MAX_SECONDS: Final = 600.0


def prove(folders: Sequence[Path]) -> None:
    """
    Start a server with bundles, and stop it when it is ready: then every golden sample was answered right.

    Raises:
        NotServable: a golden sample was answered wrong.
        NotVerified: the server cannot start, or was not ready within `MAX_SECONDS`.
    """
    paths = [str(folder.absolute()) for folder in folders]
    # -P: nothing is imported from the user's folder. The settings of another server are not meant for this one.
    command = [sys.executable, "-P", "-m", "snooze.cli", "serve", *paths, "--host", "127.0.0.1", "--port", "0"]
    environ = {name: text for name, text in os.environ.items() if not name.startswith("SNOOZE_") and name != "PORT"}
    last = ""
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        limit = threading.Timer(MAX_SECONDS, server.kill)
        limit.start()
        try:
            for last in server.stderr:
                if READY.match(last):
                    return
            code = server.wait()
        finally:
            limit.cancel()
            server.terminate()
    if code == NotServable.exit_code:
        raise NotServable(last.removeprefix("snooze: ").strip())
    problem = last.removeprefix("snooze: ").strip() if code > 0 else f"no answer within {MAX_SECONDS:g} s"
    raise NotVerified(problem)

"""
Start a server, let a child process ask for one prediction, and print as JSON what was imported until its answer.

`modules`: all that was imported; `late`: what was imported in a phase of the start that is not for imports.
"""

import json
import os
import signal
import sys

CLIENT = """
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "/predict", json.dumps({"rows": [[0.5] * 30]}).encode(), 120) as answer:
    assert json.load(answer)["model"] == "tumour"
"""


def main() -> None:
    """Serve until the child has its answer, then list the modules."""
    from snooze.service.process import start
    from snooze.service.process.listener import format_url, listen
    from snooze.service.process.startup_timer import StartupTimer
    from snooze.service.settings import Settings

    class Timer(StartupTimer):
        """Notes the modules that are imported in each phase."""

        def __init__(self) -> None:
            super().__init__()
            self.known = set(sys.modules)
            self.late: list[str] = []

        def mark(self, phase: str) -> None:
            """Note what was imported since the last mark."""
            super().mark(phase)
            if phase != "imports":
                self.late += set(sys.modules) - self.known
            self.known = set(sys.modules)

    settings = Settings.from_environ(os.environ)
    listener = listen(settings.host, settings.port)  # its address must be known before the start
    os.dup2(listener.fileno(), 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    parent = os.getpid()
    if os.fork() == 0:
        code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", CLIENT, format_url(listener)])
        os.kill(parent, signal.SIGTERM)
        os._exit(code)
    timer = Timer()
    assert start.serve(settings, timer) == 0
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    names = {name for name in sys.modules if not name.startswith("_")}
    ours = {name for name in names if name.startswith("snooze.")}
    others = {name.partition(".")[0] for name in names} - {"snooze", "sitecustomize", "encodings"}
    print(json.dumps({"modules": sorted(ours | others), "late": timer.late}))


if __name__ == "__main__":
    main()

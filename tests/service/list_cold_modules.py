"""Starts a server, lets a child process ask for one prediction, and prints what was imported for its answer."""

import os
import signal
import sys

CLIENT = """
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "/predict", json.dumps({"rows": [[0.5] * 30]}).encode(), 20) as answer:
    assert json.load(answer)["model"] == "tumour"
"""


def main() -> None:
    """Serve until the child has its answer, then list the modules."""
    from snooze.service import start
    from snooze.service.ledger import Ledger
    from snooze.service.listener import listen, url
    from snooze.service.settings import Settings

    settings = Settings.from_environ(os.environ)
    listener = listen(settings.host, settings.port)
    start._listen = lambda settings: (listener, "nobody")  # its address must be known before
    parent = os.getpid()
    if os.fork() == 0:
        code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", CLIENT, url(listener)])
        os.kill(parent, signal.SIGTERM)
        os._exit(code)
    assert start.serve(settings, Ledger()) == 0
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    builtin = sys.stdlib_module_names
    names = {name for name in sys.modules if not name.startswith("_")}
    print(*sorted(name for name in names if name.startswith("snooze.")))
    print(*sorted({name.partition(".")[0] for name in names} - {"snooze", "sitecustomize", "encodings"} - set(builtin)))
    print(*sorted({name.partition(".")[0] for name in names} & set(builtin)))


if __name__ == "__main__":
    main()

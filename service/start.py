"""
From settings to a server that answers, in the order that makes the first answer come soonest.

1. Listen: a client that comes early waits in the kernel's queue.
2. Import numpy and ONNX Runtime, here and never in a thread.
3. Hash and load the models in a thread while the web server is imported: both leave the interpreter to each other.
4. Warm up each model, check its golden outputs, and only then accept.

No garbage is collected meanwhile, and what was made is never looked at again (`gc.freeze`).
"""

import gc
import os
import signal
import sys
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from snooze.service.errors import MissingServiceExtra
from snooze.service.ledger import Ledger
from snooze.service.logs import Log
from snooze.service.settings import Settings

if TYPE_CHECKING:
    import socket

    from snooze.service.app import Application
    from snooze.service.listener import Holder
    from snooze.service.runtime.repository import Repository

PACKAGES = ("numpy", "onnxruntime", "orjson", "starlette", "uvicorn", "httptools", "uvloop")
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # sent from the import on, otherwise
    "OPENBLAS_NUM_THREADS": "1",  # numpy multiplies nothing here; its threads cost 55 ms of CPU
    "OMP_NUM_THREADS": "1",
}


def serve(settings: Settings, ledger: Ledger) -> int:
    """
    Serve until told to stop, and return the exit code.

    Raises:
        ServiceError, BundleError: the server cannot start; nothing was served.
    """
    gc.disable()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_at_once)
    listener, holder = _listen(settings)
    ledger.mark("listen")
    repository = _load_or_say_what_is_missing(settings, ledger)
    app = _application(repository, settings, ledger)
    log = app.state.log

    def ready() -> None:
        gc.freeze()
        gc.enable()
        ledger.mark("listen")
        _publish(app, ledger)
        served = ", ".join(f"{entry.name}/{entry.version}" for entry in repository.entries if entry.model)
        took = f"{ledger.total * 1e3:.0f} ms"
        woke = holder != "nobody"
        begun = f"woke in {took}, serving {served} on {where}" if woke else f"serving {served} on {where} after {took}"
        log.write("ready", begun, phases=ledger.seconds)
        if holder == "keeper":
            tell_the_keeper()

    from snooze.service.listener import tell_the_keeper, url
    from snooze.service.server import Server

    where = url(listener)
    server = Server(app, holder, ready)
    server.run([listener])
    log.write("stop", f"stopped ({server.why})")
    if app.state.threads is not None:
        # A run that was given up cannot be stopped, and the interpreter would wait for its thread.
        os._exit(0)
    return 0


def _listen(settings: Settings) -> "tuple[socket.socket, Holder]":
    """Return the socket, and who else holds it."""
    from snooze.service.listener import holder, inherited, listen

    handed = inherited(os.environ)
    if handed is not None:
        return handed, holder(os.environ)
    return listen(settings.host, settings.port), "nobody"


def _load_or_say_what_is_missing(settings: Settings, ledger: Ledger) -> "Repository":
    try:
        return _load(settings, ledger)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:  # a mistake of ours: show it
            raise
        raise MissingServiceExtra(package) from None


def _load(settings: Settings, ledger: Ledger) -> "Repository":
    import hashlib  # noqa: F401  (the thread below must not import: that is slower, and may fail)
    import threading

    import onnxruntime  # noqa: F401

    from snooze.service.app import processors
    from snooze.service.locate import locate
    from snooze.service.runtime.repository import check, load, prove

    found = locate(settings.models)
    loaded: list[Repository] = []
    thread = threading.Thread(target=lambda: loaded.append(load(found, processors(settings))), daemon=True)
    thread.start()
    try:
        _import_server()
    except ModuleNotFoundError:
        thread.join()  # to end the interpreter under ONNX Runtime's feet would abort the process
        raise

    ledger.mark("imports")
    thread.join()
    ledger.mark("session")
    (repository,) = loaded
    prove(repository, ledger.mark)
    check(repository, settings.ready)
    return repository


def _import_server() -> None:
    """
    Import the web server without its command line.

    `import uvicorn` imports `uvicorn.main`, and with it click, multiprocessing and the reloaders: 15 ms of CPU for what
    is never used here. Something that looks like it stands in its place meanwhile.
    """
    stand_in = "uvicorn" not in sys.modules
    if stand_in:
        sys.modules["uvicorn.main"] = _CommandLine("uvicorn.main")
    try:
        import snooze.service.server  # noqa: F401
    finally:
        if stand_in:
            del sys.modules["uvicorn.main"]


class _CommandLine(ModuleType):
    """`uvicorn.main` as far as `uvicorn` itself asks for it: its `Server` is the real one."""

    def __getattr__(self, name: str) -> Any:
        if name == "Server":
            from uvicorn.server import Server

            return Server
        if name in ("main", "run"):
            return None
        raise AttributeError(name)


def _application(repository: "Repository", settings: Settings, ledger: Ledger) -> "Application":
    from snooze.service.app import Application, create_threads
    from snooze.service.metrics import Metrics
    from snooze.service.state import ServerState

    log = Log(settings.log)
    for entry in repository.entries:
        if entry.error is not None:
            log.write("error", f"not served: {entry.error}", model=entry.name, version=entry.version)
    return Application(repository, settings, ServerState(settings, Metrics(), log, create_threads(repository)))


def _publish(app: "Application", ledger: Ledger) -> None:
    """Tell the cold start's ledger to the metrics and to the first answer."""
    app.state.server_timing = ledger.server_timing()
    for phase, seconds in ledger.seconds.items():
        app.state.metrics.cold_start.value(phase).value = round(seconds, 6)


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    # An exception may be lost inside an import. Nothing has been accepted yet, so nothing is lost by going.
    os._exit(130 if number == signal.SIGINT else 0)

"""
From settings to a server that answers, in the order that gives the first answer soonest.

1. Listen: an early client waits in the kernel's queue. A signal to stop answers it 503 from now on.
2. Import numpy and ONNX Runtime, on the main thread: imports in a thread are slower and may fail.
3. Hash and load the models in a thread while the web server is imported: both release the interpreter's lock.
4. Warm up each model and check its golden outputs; only then accept.

No garbage is collected meanwhile, and what was made is never looked at again (`gc.freeze`).
"""

import gc
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from snooze.bundle.errors import MissingExtra
from snooze.service.logs import Log
from snooze.service.process.listener import format_url, open_listener, report_ready
from snooze.service.process.stand_ins import stand_ins
from snooze.service.process.startup_timer import StartupTimer
from snooze.service.settings import Settings

if TYPE_CHECKING:
    import socket

    from snooze.service.app import Application
    from snooze.service.process.listener import Holder
    from snooze.service.runtime.repository import Repository

PACKAGES = ("numpy", "onnxruntime", "orjson", "starlette", "uvicorn", "httptools", "uvloop")
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # must be set before the import
    "OPENBLAS_NUM_THREADS": "1",  # a server multiplies nothing in numpy; its threads cost 55 ms of CPU
    "OMP_NUM_THREADS": "1",
}


def serve(settings: Settings, timer: StartupTimer) -> int:
    """
    Serve until a signal comes or nothing is asked for long enough, and return the exit code.

    Raises:
        BundleError, ServiceError, MissingExtra: the server cannot start; nothing was served.
    """
    gc.disable()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    listener: socket.socket | None = None
    holder: Holder = "nobody"

    def stop(number: int, frame: FrameType | None) -> None:
        """Answer 503 to the connections that wait, and exit: an exception may be lost inside an import."""
        try:
            if listener is not None and holder == "nobody":
                from snooze.service.process.idle import STOPPING, Refusal

                Refusal(listener, STOPPING).finish()
        finally:
            os._exit(130 if number == signal.SIGINT else 0)

    reload: Callable[[], None] | None = None
    must_reload = False
    on_terminal = os.isatty(2)

    def hang_up(number: int, frame: FrameType | None) -> None:
        """Reload the models (after the start, if it comes before its end), or stop if the terminal was closed."""
        nonlocal must_reload
        must_reload = True
        if on_terminal and not os.isatty(2):
            signal.raise_signal(signal.SIGTERM)
        elif reload is not None:
            reload()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, hang_up)
    timer.mark("imports")
    listener, holder = open_listener(settings.host, settings.port, os.environ)
    timer.mark("listen")
    # No name for the repository: what is replaced later must not be kept here.
    app = _create_application(_load_or_name_missing_package(settings, timer), settings)
    log = app.state.log

    def ready() -> None:
        gc.freeze()
        gc.enable()
        timer.mark("listen")
        _publish(app, timer)
        served = ", ".join(f"{entry.name}/{entry.version}" for entry in app.repository.entries if entry.model)
        took = f"{timer.total * 1e3:.0f} ms"
        cold = f"serving {served} on {url} after {took}"
        message = cold if holder == "nobody" else f"woke in {took}, serving {served} on {url}"
        log.write("ready", message, phases=timer.wall, cpu=timer.cpu)
        if holder == "parent":
            report_ready()

    from snooze.service.process.server import Server

    url = format_url(listener)
    server = Server(app, holder, ready)
    reload = server.reload
    if must_reload:
        reload()
    server.run([listener])
    log.write("stop", f"stopped ({server.reason})")
    if app.state.capacity.uses_threads or app.has_reloaded:
        # A run that was given up, or a model that is loaded, cannot be stopped; the interpreter would wait for it.
        os._exit(0)
    return 0


def _load_or_name_missing_package(settings: Settings, timer: StartupTimer) -> "Repository":
    try:
        with stand_ins():
            return _load(settings, timer)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:  # a bug of ours: show it
            raise
        raise MissingExtra(package, "service") from None


def _load(settings: Settings, timer: StartupTimer) -> "Repository":
    import threading
    import time

    import onnxruntime  # noqa: F401

    from snooze.bundle.store import has_large_files
    from snooze.service.app import processors
    from snooze.service.process.locate import locate
    from snooze.service.runtime.repository import check, load, prove

    found = locate(settings.models)
    if any(has_large_files(one) for one in found):
        import hashlib  # noqa: F401  (the thread below must not import)
    loaded: list[tuple[Repository, float]] = []
    thread = threading.Thread(
        target=lambda: loaded.append((load(found, processors(settings)), time.thread_time())), daemon=True
    )
    thread.start()
    try:
        _import_server()
    except ModuleNotFoundError:
        thread.join()  # to end the interpreter while ONNX Runtime works would abort the process
        raise
    timer.mark("imports")
    thread.join()
    timer.mark("session")
    ((repository, cpu),) = loaded
    timer.move_cpu("imports", "session", cpu - timer.cpu["session"])
    prove(repository, timer.mark)
    check(repository, settings.ready)
    return repository


def _import_server() -> None:
    import uvicorn.lifespan.off
    import uvicorn.loops.uvloop  # noqa: F401  (uvicorn itself would import both when it starts to listen)

    import snooze.service.process.server  # noqa: F401


def _create_application(repository: "Repository", settings: Settings) -> "Application":
    from snooze.service.app import Application
    from snooze.service.metrics import Metrics
    from snooze.service.state import ServerState

    log = Log(settings.log)
    for entry in repository.entries:
        if entry.error is not None:
            log.write("error", f"not served: {entry.error}", model=entry.name, version=entry.version)
    return Application(repository, settings, ServerState(settings, Metrics(), log))


def _publish(app: "Application", timer: StartupTimer) -> None:
    """Hand the times of the start to the metrics and to the first answer."""
    app.state.server_timing = timer.format_server_timing()
    for clock, seconds in (("wall", timer.wall), ("cpu", timer.cpu)):
        for phase, value in seconds.items():
            app.state.metrics.cold_start.value(phase, clock).value = round(value, 6)

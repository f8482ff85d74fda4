"""The options of `snooze serve`, and how they become settings."""

TYPE_CHECKING = (
    False  # type checkers take it as true; `typing` and `argparse` are not imported for a plain command line
)
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import SimpleNamespace
    from typing import Any, NoReturn

    from snooze.service.settings import Settings

# Option, setting, placeholder and help of what an environment variable can set as well. Switches have no placeholder.
OPTIONS = (
    ("--host", "host", "ADDRESS", "address to listen on (default: 127.0.0.1; 0.0.0.0 for every address)"),
    ("--port", "port", "N", "port to listen on (default: $PORT or 8080; 0 takes a free one)"),
    ("--idle", "idle", "TIME", "scale to zero: end the server after so long without a request, such as 60s or 5min"),
    ("--aliases", "aliases", "FILE", "further paths of models (default: aliases.json in the folders that are served)"),
    ("--ready", "ready", "WHICH", "all: start only if every bundle can be served (default); any: if one can"),
    ("--memory", "memory", "SIZE", "memory of all requests (default: what the container's limit leaves)"),
    ("--max-body", "max_body", "SIZE", "largest body of a request (default: what the memory allows, at most 64MiB)"),
    ("--max-connections", "max_connections", "N", "clients connected at once; one more gets 503 (default: 4096)"),
    ("--client-timeout", "client_timeout", "TIME", "longest wait for a client to send or to read (default: 10s)"),
    ("--max-in-flight", "max_in_flight", "N", "predictions that wait or run in threads; more get 429 (default: 1024)"),
    ("--timeout", "timeout", "TIME", "limit for a request that states none, such as 500ms (default: no limit)"),
    ("--max-wait", "max_wait", "TIME", "longest predicted wait for a run; one more is answered 429 (default: 30s)"),
    ("--batching", "batching", "WHICH", "auto: join requests where the profile promises a gain (default); or off"),
    ("--grace", "grace", "TIME", "longest wait for running requests after a signal to stop (default: 30s)"),
    ("--watch", "watch", None, "load new versions when they appear, and unload what was removed, as SIGHUP does once"),
    ("--allow-load", "allow_load", None, "let clients load and unload models (POST /v2/repository/models/NAME/load)"),
    ("--pages", "pages", "WHICH", "on: pages for people at / and /docs (default); or off"),
    ("--report", "report", None, "let clients read the report of a model; it tells of the data and the command line"),
    ("--threads", "threads", "N", "most threads of one run (default: those of the bundle, within the CPU limit)"),
    ("--log", "log", "FORMAT", "lines on stderr: text (default), json or off"),
)


def serve_arguments(parser: "argparse.ArgumentParser") -> None:
    """Declare the arguments of `snooze serve`."""
    import argparse

    parser.description = "Serve a repository of models, or single bundles, over HTTP."
    parser.epilog = """examples:
  snooze serve models                     every model of the repository, on http://127.0.0.1:8080
  snooze serve models --idle 60s          the same, but no server runs until a client connects
  snooze serve models/tumour/3 --port 0   one version of one model, on a free port"""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a repository, a model's folder or a bundle")
    for option, setting, placeholder, text in OPTIONS:
        if placeholder is None:
            parser.add_argument(option, dest=setting, action="store_const", const="on", help=text)
        else:
            parser.add_argument(option, dest=setting, metavar=placeholder, help=text)


def read_plain(words: "Sequence[str]") -> "dict[str, Any] | None":
    """
    Return the arguments of a command line that consists of paths, and of options and their values; None for any other.

    To import argparse and to declare the options takes 6 ms of CPU, which each cold start would pay.
    """
    settings = {option: setting for option, setting, _, _ in OPTIONS}
    arguments: dict[str, Any] = dict.fromkeys(settings.values())
    paths: list[str] = []
    rest = iter(words)
    after_option = False
    for word in rest:
        if word in settings:
            value = next(rest, "")
            if value[:1] in ("", "-"):
                return None
            arguments[settings[word]] = value
            after_option = True
        elif word[:1] in ("", "-") or (paths and after_option):
            return None
        else:
            paths.append(word)
            after_option = False
    return {"paths": paths, **arguments} if paths else None


def serve(arguments: "argparse.Namespace | SimpleNamespace") -> int:
    """Serve until a signal comes."""
    import gc

    gc.disable()  # as `__main__.py` does it, until the server is ready
    from snooze.service.process.startup_timer import StartupTimer

    timer = StartupTimer(arguments.loaded)  # since then the command was imported
    import os
    from pathlib import Path

    from snooze.service.process.start import serve as run
    from snooze.service.settings import Settings, parse

    environ = {name: text for name, text in os.environ.items() if name != "SNOOZE_MODELS"}
    settings = Settings.from_environ(environ, host="127.0.0.1")
    given = {
        setting: parse(setting, text, option)
        for option, setting, _, _ in OPTIONS
        if (text := getattr(arguments, setting)) is not None
    }
    settings = settings._replace(models=tuple(map(Path, arguments.paths)), **given)
    if settings.idle:
        _hold_socket(settings)
    return run(settings, timer)


def _hold_socket(settings: "Settings") -> "NoReturn":
    """Turn this process into the parent that only holds the socket."""
    import os
    import signal
    import sys
    from pathlib import Path

    from snooze.bundle.store import read
    from snooze.service.process import idle
    from snooze.service.process.listener import format_url, listen
    from snooze.service.process.locate import locate, locate_aliases

    located = locate(settings.models)
    for found in located:
        read(found.folder)  # a start that cannot succeed must fail now, not with the first request
    if files := locate_aliases(settings):
        from snooze.service.aliases.serving import load
        from snooze.service.app import ROUTES
        from snooze.service.runtime.repository import Entry, Repository

        load(files, ROUTES, Repository(Entry(one.name, one.version, None) for one in located))
    listener = listen(settings.host, settings.port)
    os.dup2(listener.fileno(), idle.LISTENER)
    os.set_inheritable(idle.LISTENER, True)  # dup2 does not do so where both are the same
    absolute = settings._replace(
        models=tuple(path.resolve() for path in settings.models),
        aliases=settings.aliases and str(Path(settings.aliases).absolute()),
    )
    environ = {**os.environ, **absolute.to_environ()}
    python = sys.executable
    # -P: nothing is imported from the user's folder.
    command = [python, "-I", "-S", idle.__file__, format_url(listener), python, "-P", "-m", "snooze.service"]
    if sys.stdout is not None:
        sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, idle.HANDLED)  # until the new program has its handlers
    os.execve(python, command, environ)  # noqa: S606  (a list, no shell)

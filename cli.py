"""The command `snooze`: run a subcommand of one of the packages, and turn its errors into one line and an exit code."""

import time

LOADED = time.perf_counter(), time.process_time()  # when the interpreter was ready, for `snooze serve`

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from importlib import import_module  # noqa: E402
from types import SimpleNamespace  # noqa: E402

# Until `main` installs its handlers, Ctrl-C ends the process silently instead of with a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

LOOPBACK = "127.0.0.1"
EPILOG = """\
examples:
  snooze convert model.joblib --trust --name tumour --target models --data rows.npz
  snooze try tumour.skops --data rows.npz
  snooze inspect models/tumour --verify
  snooze serve models --idle 60s
  snooze predict http://127.0.0.1:8080/v2/models/tumour --data rows.npz
  snooze image models/tumour --tag registry.example.com/tumour:1
  snooze deploy models/tumour --image registry.example.com/tumour:1 --rps 50

'snooze COMMAND --help' explains a command.
Exit codes: 0 done, 1 a check failed, 2 the input or the usage is wrong, 130 and 143 interrupted.
"""

# Name: module, function, one line of help. `<function>_arguments(parser)` of the module declares the options,
# `<function>(arguments)` does the work and returns the exit code.
COMMANDS = {
    "convert": ("snooze.convert.cli", "convert", "convert a trained model to a bundle, and check that it is right"),
    "try": ("snooze.convert.cli", "try", "convert a model, and serve it with a page for people until Ctrl-C"),
    "inspect": ("snooze.bundle.cli", "inspect", "show what a bundle is and the evidence it carries"),
    "serve": ("snooze.service.cli", "serve", "answer over HTTP; --idle scales to zero on this machine"),
    "predict": ("snooze.client.cli", "predict", "make predictions, with a server or straight from a bundle"),
    "size": ("snooze.knative.commands.size", "size", "compute cpu, memory, concurrency and pods for a load"),
    "image": ("snooze.knative.commands.image", "image", "build an image with models, or add them to a server image"),
    "deploy": (
        "snooze.knative.commands.deploy",
        "deploy",
        "write the sized Knative manifest, or bring it to a cluster",
    ),
    "rollout": (
        "snooze.knative.commands.rollout",
        "rollout",
        "give a new version more and more requests, or put all back",
    ),
    "rollback": ("snooze.knative.commands.rollout", "rollback", "give every request to an earlier version"),
    "versions": (
        "snooze.knative.commands.versions",
        "versions",
        "list the revisions of a service and what each serves",
    ),
    "ab": ("snooze.knative.commands.ab", "ab", "compare two revisions of a service by labelled rows"),
    "bench": ("snooze.benchmarks.cli", "bench", "measure a running server and compare with what was promised"),
}


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command line and return its exit code."""
    try:
        return _run_safely(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # maybe while another error is reported: Ctrl-C ends the processes of a command as well
        return 128 + signal.SIGINT


def _run_safely(arguments: list[str]) -> int:
    """Run the command line; turn errors into a line and an exit code."""
    _open_missing_streams()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _exit)  # unwinds the stack, so that temporary files are removed
        try:
            return _run(arguments)
        finally:
            _flush_output()
    except BrokenPipeError:  # the reader has left, as in `snooze inspect models | head`
        return 128 + signal.SIGPIPE
    except MemoryError as error:
        return _report(f"not enough memory: {str(error) or 'raise the memory limit of this process'}", 2)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        return _report(f"{place}{error.strerror or error}", 2)
    except Exception as error:
        from snooze.bundle.errors import SnoozeError

        if isinstance(error, SnoozeError):
            return _report(error, error.exit_code)
        raise  # a defect of Snooze: the traceback helps to report it


def _run(arguments: list[str]) -> int:
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return _run_without_command(arguments)
    home, function, help_text = command
    module = import_module(home)
    if function == "serve" and (plain := module.read_plain(arguments[1:])) is not None:
        return int(module.serve(SimpleNamespace(**plain, loaded=LOADED)))
    parser = _create_parser(f"snooze {arguments[0]}", help_text)
    declare: Callable[[argparse.ArgumentParser], None] = getattr(module, f"{function}_arguments")
    own: dict[str, Callable[[argparse.Namespace], int]] = {"predict": _predict, "try": _try}
    run = own.get(function) or getattr(module, function)
    declare(parser)
    if function == "serve":
        parser.set_defaults(loaded=LOADED)
    return run(parser.parse_args(arguments[1:]))


def _predict(arguments: "argparse.Namespace") -> int:
    """Ask a server or a bundle: the packages for the two do not know each other."""
    from snooze.client import cli

    if arguments.target.startswith(("http://", "https://")):
        answer = cli.ask(arguments)
    else:
        from snooze.service import local

        answer = local.ask(
            arguments.target,
            arguments.model,
            arguments.version,
            lambda: cli.read_rows(arguments),
            lambda adapter: cli.write_raw(arguments, adapter),
        )
    cli.print_answer(answer, arguments.json)
    return 0


def _try(arguments: "argparse.Namespace") -> int:
    """Convert to a temporary repository and serve that: the packages for the two do not know each other."""
    from tempfile import TemporaryDirectory

    from snooze.convert import cli

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _exit)  # a terminal that is closed must not leave the folder behind
    _find_port(arguments.host, arguments.port)  # an address that cannot be used is an error before a long conversion
    if arguments.data is None:
        print("snooze: without --data the model is checked with drawn rows; real ones prove more", file=sys.stderr)
    arguments.name = arguments.name or cli.derive_name(arguments.source)
    with TemporaryDirectory(prefix="snooze-try-") as arguments.target:
        cli.convert(arguments)
        sys.stdout.flush()
        port = _find_port(arguments.host, arguments.port)
        report = ["--report"] if arguments.host == LOOPBACK else []  # it tells of the data, so it stays on this machine
        return _serve(arguments.target, "--host", arguments.host, "--port", str(port), *report)


def _find_port(host: str, text: "str | None") -> int:
    """Return the port to listen on: the one that is asked for, otherwise 8080 if it is free, 0 (any) if not."""
    from snooze.service.errors import CannotListen
    from snooze.service.process.listener import listen
    from snooze.service.settings import parse

    port = int(parse("port", text or "8080", "--port"))
    try:
        listen(host, port).close()
    except CannotListen:
        if text is not None:
            raise
        return _find_port(host, "0")
    return port


def _serve(*arguments: str) -> int:
    """Serve in a process of its own until a signal comes, print the page's address when it answers."""
    import re
    import subprocess

    # The settings of another server, such as SNOOZE_IDLE, are not meant for this one.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("SNOOZE_")}
    command = [sys.executable, "-P", "-m", "snooze.cli", "serve", *arguments]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            for line in server.stderr:
                print(line, end="", file=sys.stderr, flush=True)
                if ready := re.match(r"snooze: serving .* on (http:\S+) after ", line):
                    print(f"open {ready[1]}/ in a browser; Ctrl-C ends the server and removes the model", flush=True)
            return server.wait()
        except KeyboardInterrupt:
            return 0  # the usual end; the server may have got the signal too, and not survive a second one
        finally:
            server.terminate()
            sys.stderr.writelines(server.stderr)


def _run_without_command(arguments: list[str]) -> int:
    parser = _create_parser(
        "snooze", "Turn a trained model into a scale-to-zero ONNX service, with the evidence for every claim."
    )
    parser.epilog = EPILOG
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (_, _, help_text) in COMMANDS.items():
        commands.add_parser(name, help=help_text, add_help=False)
    if parser.parse_args(arguments).version:
        from importlib.metadata import version

        print(f"snooze {version('snooze')}")
        return 0
    parser.print_help(sys.stderr)
    return 2


def _create_parser(name: str, description: str) -> "argparse.ArgumentParser":
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    return ArgumentParser(prog=name, description=description, formatter_class=RawDescriptionHelpFormatter)


def _open_missing_streams() -> None:
    """Open standard streams that were closed (`>&-`): the next file to be opened would take the place of one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _flush_output() -> None:
    """Write what is buffered, while an error can still be reported."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard(1)
        raise OSError(error.errno, error.strerror, "standard output") from None


def _discard(descriptor: int) -> None:
    """Discard what is still buffered: the interpreter flushes again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _report(problem: object, code: int) -> int:
    try:
        print(f"snooze: {problem}", file=sys.stderr, flush=True)
    except OSError:
        _discard(2)
    return code


def _exit(signum: int, frame: "FrameType | None") -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())

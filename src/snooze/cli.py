"""The command `snooze`: its packages do the work, errors become one line and an exit code."""

import os
import signal
import sys
from contextlib import contextmanager
from importlib import import_module

# Until `main` can end it well, Ctrl-C ends the process without a word; what follows imports next to nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import TextIO, TypeVar

    T = TypeVar("T")

EPILOG = """\
examples:
  snooze convert model.joblib --trust --name tumour --target models --data rows.npz
  snooze inspect models/tumour --verify
  snooze serve models --idle 60s
  snooze predict http://127.0.0.1:8080/v2/models/tumour --data rows.npz
  snooze deploy models/tumour --image registry.example.com/tumour:1 --rps 50

'snooze COMMAND --help' explains a command. Exit codes: 0 done, 1 a gate said no, 2 the input or the usage is wrong.
"""


# By name: the module, its function, one line of help. `<function>_arguments(parser)` describes the options,
# `<function>(arguments)` does the work and returns the exit code.
COMMANDS = {
    "convert": ("snooze.convert.cli", "convert", "turn a trained model into a bundle, through every gate"),
    "inspect": ("snooze.bundle.cli", "inspect", "show what a bundle is and the evidence it carries"),
    "serve": ("snooze.service.cli", "serve", "answer over HTTP; --idle scales to zero on this machine"),
    "predict": ("snooze.service.cli", "predict", "make one prediction, from a server or straight from a bundle"),
    "size": ("snooze.knative.cli", "size", "cpu, memory, concurrency and pods for a load"),
    "deploy": ("snooze.knative.cli", "deploy", "write the sized Knative manifest and the kn command for it"),
    "bench": ("snooze.benchmarks.cli", "bench", "load tests that check what was promised"),
}


NO_MEMORY = "there is not enough memory; raise the limit of this process, or run it where there is more"
NO_ROOM = ("failed to map segment", "annot allocate memory")  # so says the loader of native libraries


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _exit)  # so that what is half done is cleaned up
        with _watched():
            return _run(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `snooze inspect ... | head`
        _forget_output()
        return 128 + signal.SIGPIPE
    except MemoryError:
        return _told(NO_MEMORY, 2)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if isinstance(code, int):
            return _told(error, code)
        if isinstance(error, OSError):  # the system's no, which says of itself what is wrong
            place = "" if error.filename is None else f"{error.filename}: "
            return _told(f"{place}{error.strerror or error}", 2)
        if isinstance(error, ImportError) and any(sign in str(error) for sign in NO_ROOM):
            return _told(NO_MEMORY, 2)
        raise  # a mistake of ours: its traceback is wanted


class Unwritable(Exception):
    """What was found out cannot be printed."""

    exit_code = 2


class Output:
    """
    Standard output, of which a failure has a name of its own: no other OSError is taken for it.

    Raises:
        Unwritable: the system refuses what is written, for any reason but a reader who has left (BrokenPipeError).
    """

    def __init__(self, stream: "TextIO") -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._tried(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._tried(self._stream.flush)

    def _tried(self, write: "Callable[[], T]") -> "T":
        try:
            return write()
        except BrokenPipeError:
            raise
        except OSError as error:
            _forget_output()
            raise Unwritable(f"cannot write the output: {error.strerror}") from None


@contextmanager
def _watched() -> "Iterator[None]":
    """Notice what cannot be printed, up to the last of it: when the interpreter ends nobody could say it any more."""
    stream = sys.stdout
    sys.stdout = Output(stream)  # passes on all that it does not do itself
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            sys.stdout = stream


def _forget_output() -> None:
    """Let what is still to be written go nowhere: Python tries once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _told(problem: object, code: int) -> int:
    try:
        print(f"snooze: {problem}", file=sys.stderr, flush=True)
    except OSError:
        pass  # the exit code is all that is left to tell it
    return code


def _open_closed_streams() -> None:
    """Open what a process was started without (`>&-`) as streams that lead nowhere, before a file takes its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _run(arguments: list[str]) -> int:
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return _top(arguments)
    home, function, what = command
    module = import_module(home)
    parser = _parser(f"snooze {arguments[0]}", what)
    describe: Callable[[argparse.ArgumentParser], None] = getattr(module, f"{function}_arguments")
    run: Callable[[argparse.Namespace], int] = getattr(module, function)
    describe(parser)
    return run(parser.parse_args(arguments[1:]))


def _top(arguments: list[str]) -> int:
    parser = _parser(
        "snooze", "A trained model in, a scale-to-zero ONNX service out, with the evidence for every claim."
    )
    parser.epilog = EPILOG
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (_, _, what) in COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    if parser.parse_args(arguments).version:
        from importlib.metadata import version

        print(f"snooze {version('snooze')}")
        return 0
    parser.print_help(sys.stderr)
    return 2


def _parser(name: str, what: str) -> "argparse.ArgumentParser":
    import argparse

    return argparse.ArgumentParser(prog=name, description=what, formatter_class=argparse.RawDescriptionHelpFormatter)


def _exit(signum: int, frame: "FrameType | None") -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())

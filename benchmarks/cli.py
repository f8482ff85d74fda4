"""`snooze bench`: the arguments of its subcommands, and what they run."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

LOAD_EXAMPLES: Final = """\
examples:
  snooze bench load http://127.0.0.1:8080
      50 requests/s for 20 s to the server's only model, with rows drawn from its signature
  snooze serve models & snooze bench load http://127.0.0.1:8080 --bundle models/tumour --rps 200 --pid $!
      the bundle's own rows; CPU, memory and p50 beside what its profile predicts
  snooze bench load http://digits.default.example.com --data rows.csv --label digit --rps 300 --duration 2m --binary
      real rows, as binary tensors

The rate is offered whatever the answers do, and latency counts from the moment a request was due: a server that is
too slow looks slow. exit code: 0 every request was answered, 1 some were not, 2 the load could not be run."""

UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `snooze bench`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOAD_EXAMPLES
    commands = parser.add_subparsers(dest="benchmark", metavar="COMMAND", required=True)
    about = "offer a fixed rate of requests to a running server and report what became of them"
    load_arguments(commands.add_parser("load", help=about, description=about.capitalize() + "."))


def bench(arguments: argparse.Namespace) -> int:
    """Run the subcommand of `snooze bench` that was asked for."""
    return {"load": load}[arguments.benchmark](arguments)


def load_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze bench load`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOAD_EXAMPLES
    parser.add_argument("url", metavar="URL", help="where the server listens, for example http://127.0.0.1:8080")
    parser.add_argument("--model", metavar="NAME", help="the model; needed where the server has several")
    parser.add_argument("--rps", type=float, default=50.0, metavar="N", help="requests per second to offer (50)")
    parser.add_argument(
        "--duration", type=seconds, default=20.0, metavar="TIME", help="for how long: 500ms, 20s, 2m (20s)"
    )
    parser.add_argument(
        "--arrivals", choices=("poisson", "constant"), default="poisson", help="random or evenly spaced"
    )
    parser.add_argument(
        "--users", type=int, default=64, metavar="N", help="most requests open at the same time, a connection each (64)"
    )
    _data_arguments(parser.add_argument_group("what is sent"))
    _server_arguments(parser.add_argument_group("what is measured at the server"))
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write it to FILE: JSON if it ends in .json")


def _data_arguments(group: Any) -> None:
    group.add_argument("--data", type=Path, metavar="FILE", help="rows: .npz, .npy, .csv, .jsonl or a bundle's folder")
    group.add_argument("--label", metavar="COLUMN", help="the column of --data that is not an input")
    group.add_argument(
        "--row", action="append", default=[], metavar="VALUES", help="one row, 1.5,2,3 or a JSON array; may be repeated"
    )
    group.add_argument("--rows", type=int, default=1, metavar="N", help="rows in one request (1)")
    group.add_argument(
        "--protocol", choices=("v2", "predict"), default="v2", help="Open Inference, or the plain /predict"
    )
    group.add_argument("--binary", action="store_true", help="binary tensors instead of JSON")


def _server_arguments(group: Any) -> None:
    measured = group.add_mutually_exclusive_group()
    measured.add_argument("--pid", type=int, metavar="N", help="process id of the server; its children count too")
    measured.add_argument(
        "--cgroup", type=Path, metavar="PATH", help="the server's control group, below /sys/fs/cgroup"
    )
    group.add_argument(
        "--bundle", type=Path, metavar="PATH", help="set beside it what this bundle's profile predicts; gives rows too"
    )


def load(arguments: argparse.Namespace) -> int:
    """Run a load test and print its report."""
    from snooze.benchmarks.load.runner import run

    report = run(
        arguments.url,
        model=arguments.model,
        data=arguments.data,
        row=tuple(arguments.row),
        label=arguments.label,
        rows=arguments.rows,
        rps=arguments.rps,
        seconds=arguments.duration,
        users=arguments.users,
        arrivals=arguments.arrivals,
        protocol=arguments.protocol,
        binary=arguments.binary,
        bundle=arguments.bundle,
        pid=arguments.pid,
        cgroup=arguments.cgroup,
        progress=progress_of(arguments.duration),
    )
    if arguments.report:
        report.write(arguments.report)
    if arguments.json:
        import json

        print(json.dumps(report.as_dict(), indent=2))
    else:
        print(report.as_text())
    if report.errors:
        print(f"snooze: {report.errors} of {report.requests} requests were not answered", file=sys.stderr)
    return 1 if report.errors else 0


def progress_of(duration: float) -> Any:
    """Return what shows on a terminal how far a load of `duration` seconds is."""
    from snooze.benchmarks.progress import show

    def tell(event: Mapping[str, Any]) -> None:
        text = f"{event['seconds']:.0f} of {duration:g} s: {event['done']} sent, {event['answered']} answered"
        show(text if event["seconds"] < duration else "")

    return tell


def seconds(text: str) -> float:
    """Return a time like 500ms, 20s, 2m or 1h in seconds; a number alone is seconds."""
    number = text.rstrip("smh")
    try:
        value = float(number) * UNITS[text[len(number) :] or "s"]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"expected a time like 20s or 2m, got {text!r}") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a time above zero, got {text!r}")
    return value

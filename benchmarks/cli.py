"""`snooze bench`: the options of its subcommands, and what they run."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.bundle.arguments import duration, integer, number, size
from snooze.bundle.errors import InvalidOption

if TYPE_CHECKING:
    from snooze.benchmarks.comparison import Results
    from snooze.benchmarks.peers.candidates import Servers

LOAD_EXAMPLES: Final = """\
examples:
  snooze bench load http://127.0.0.1:8080
      50 requests/s for 20 s to the server's only model, with rows drawn from its signature
  snooze serve models & snooze bench load http://127.0.0.1:8080 --bundle models/tumour --rps 200 --pid $!
      the bundle's own rows; CPU, memory and p50 beside the predictions from its profile
  snooze bench load http://digits.default.example.com --data rows.csv --label digit --rps 300 --duration 2m --binary
      real rows, as binary tensors

The rate is offered whatever the answers are, and latency counts from the moment a request was due: a server that is
too slow looks slow. Exit code: 0 all requests were answered, 1 some were not, 2 the load could not run."""

COLD_EXAMPLES: Final = """\
examples:
  snooze bench cold models/tumour
      20 starts of a server process, beside other servers
  snooze bench cold --knative hello,tumour --namespace default -n 30
      30 wakes from zero of each Knative Service, in turn, where their URLs can be reached; docs/cold-starts.md

Exit code of --knative: 1 if a wake failed or Ctrl-C ended the rounds; those that are complete are reported."""

THROUGHPUT_EXAMPLES: Final = """\
examples:
  snooze bench throughput --standard --peer-python kserve=PATH --peer-python mlserver=PATH
      the whole table: six rows of three models, five servers, 7 rounds; about 15 minutes
  snooze bench throughput models/tumour --rounds 3
      one model beside the servers that need no other environment; a minute
  snooze bench throughput models/digits --rows 1,32 --encoding json,binary --servers bare,snooze --rounds 3

It takes wrk, and two cores without other work."""
SERVERS: Final = "bare, snooze, snooze-serve, fastapi, fastapi-tuned, kserve, mlserver"


def bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `snooze bench`."""
    commands = parser.add_subparsers(dest="benchmark", metavar="COMMAND", required=True)
    for name, (add_arguments, _, about) in COMMANDS.items():
        form = argparse.RawDescriptionHelpFormatter
        add_arguments(commands.add_parser(name, help=about, description=f"{about.capitalize()}.", formatter_class=form))


def bench(arguments: argparse.Namespace) -> int:
    """Run a subcommand of `snooze bench` and return its exit code."""
    return COMMANDS[arguments.benchmark][1](arguments)


def load_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench load`."""
    parser.epilog = LOAD_EXAMPLES
    parser.add_argument("url", metavar="URL", help="where the server listens, for example http://127.0.0.1:8080")
    request_arguments(parser.add_argument_group("requests"))
    pace = parser.add_argument_group("load")
    pace_arguments(pace)
    pace.add_argument("--duration", type=duration, default=20.0, metavar="TIME", help="500ms, 20s, 2m (20s)")
    pace.add_argument(
        "--users", type=int, default=64, metavar="N", help="most requests open at the same time, a connection each (64)"
    )
    server = parser.add_argument_group("server")
    measured = server.add_mutually_exclusive_group()
    measured.add_argument("--pid", type=int, metavar="N", help="measure this process and its descendants")
    measured.add_argument("--cgroup", type=Path, metavar="PATH", help="measure this control group in /sys/fs/cgroup")
    server.add_argument(
        "--bundle", type=Path, metavar="PATH", help="report what this bundle's profile predicts; names model and rows"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write it to FILE: JSON if it ends in .json")


def request_arguments(group: Any) -> None:
    """Add the options of the requests; the locustfile has them as well."""
    group.add_argument("--model", default="", metavar="NAME", help="the model, where the server has several")
    group.add_argument(
        "--data", default="", metavar="FILE", help="rows: .npz, .npy, .csv, .jsonl, .json or a bundle's folder"
    )
    group.add_argument("--label", default="", metavar="COLUMN", help="the column of --data that is not an input")
    group.add_argument(
        "--row", action="append", default=[], metavar="V,V,...", help="one row, or a JSON array; may be repeated"
    )
    group.add_argument("--rows", type=int, default=1, metavar="N", help="rows per request (1)")
    group.add_argument(
        "--protocol", choices=("v2", "predict"), default="v2", help="Open Inference, or the plain /predict"
    )
    group.add_argument("--binary", action="store_true", help="binary tensors instead of JSON")


def pace_arguments(group: Any) -> None:
    """Add the options of the arrivals; the locustfile has them as well."""
    group.add_argument("--rps", type=float, default=50.0, metavar="N", help="requests per second to offer (50)")
    group.add_argument(
        "--arrivals", choices=("poisson", "constant"), default="poisson", help="random or evenly spaced arrivals"
    )


def load(arguments: argparse.Namespace) -> int:
    """Run a load test and print its report."""
    from snooze.benchmarks.load.arrivals import Pace
    from snooze.benchmarks.load.runner import run
    from snooze.benchmarks.load.target import RequestOptions

    report = run(
        arguments.url,
        RequestOptions.of(arguments),
        Pace(arguments.rps, arguments.duration, arguments.users, arguments.arrivals),
        bundle=arguments.bundle,
        pid=arguments.pid,
        cgroup=arguments.cgroup,
        progress=show_progress(arguments.duration),
    )
    if arguments.report:
        report.write(arguments.report)
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else report.as_text())
    if report.errors:
        print(f"snooze: {report.errors} of {report.requests} requests were not answered", file=sys.stderr)
    return 1 if report.errors else 0


def show_progress(duration: float) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that shows the progress of a load of `duration` seconds on a terminal."""
    from snooze.benchmarks.progress import show

    def update(event: Mapping[str, Any]) -> None:
        text = f"{event['seconds']:.0f} of {duration:g} s: {event['done']} sent, {event['answered']} answered"
        show(text if event["seconds"] < duration else "")

    return update


def cold_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench cold`."""
    parser.epilog = COLD_EXAMPLES
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="started on this machine, beside peers; one FP32 input"
    )
    parser.add_argument("--runs", "-n", type=integer(1, 10_000), default=20, metavar="N", help="starts of each (20)")
    wakes = parser.add_argument_group("wakes from zero on a cluster, instead of BUNDLE")
    wakes.add_argument("--knative", metavar="NAME,NAME", help="Knative Services; the first is the one to compare with")
    wakes.add_argument("--namespace", default="default", metavar="NAME", help="theirs (default)")
    wakes.add_argument("--path", metavar="PATH", help="ask all services for GET PATH (a prediction, or GET /)")
    wakes.add_argument(
        "--zero-timeout", type=duration, default=300.0, metavar="TIME", help="longest wait for a service's end (5m)"
    )
    wakes.add_argument(
        "--skip-drain", action="store_true", help="delete pods that only drain: 15 s a round instead of 45 s"
    )
    request_arguments(wakes)
    _comparison_arguments(parser, "snooze,snooze-serve,fastapi-tuned")


def cold(arguments: argparse.Namespace) -> int:
    """Measure cold starts and print the table."""
    if (arguments.knative is None) == (arguments.bundle is None):
        raise InvalidOption("--knative", "expected a BUNDLE to start on this machine, or --knative NAME, and not both")
    if arguments.knative is not None:
        return _wake(arguments)
    from snooze.benchmarks.cold_start import run

    return _publish(run(arguments.bundle, servers_of(arguments), arguments.runs), arguments)


def _wake(arguments: argparse.Namespace) -> int:
    from snooze.benchmarks.load.target import RequestOptions
    from snooze.benchmarks.wake.report import run
    from snooze.benchmarks.wake.rounds import Options

    names = arguments.knative.split(",")
    if "" in names or len(set(names)) < len(names):
        raise InvalidOption("--knative", f"expected different names of services, got {arguments.knative!r}")
    results = run(
        Options(
            names,
            arguments.namespace,
            arguments.runs,
            RequestOptions.of(arguments),
            arguments.path,
            arguments.zero_timeout,
            arguments.skip_drain,
        )
    )
    complete = min((one["wakes"] for one in results.figures.values()), default=0)
    failures = [f"{arguments.runs - complete} of {arguments.runs} rounds are not complete"]
    return _publish(results, arguments, failures if complete < arguments.runs else ())


def throughput_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench throughput`."""
    parser.epilog = THROUGHPUT_EXAMPLES
    models = parser.add_argument_group("what is asked for")
    models.add_argument("bundles", type=Path, nargs="*", metavar="BUNDLE", help="models to measure with")
    models.add_argument("--standard", action="store_true", help="make the models of the standard table, and its rows")
    models.add_argument("--rows", type=_counts, default=[1], metavar="N,N", help="rows of a request, such as 1,32 (1)")
    models.add_argument("--encoding", default="json", metavar="NAMES", help="json, binary or json,binary (json)")
    models.add_argument("--knative-headers", action="store_true", help="with the headers that Knative adds")
    parser.add_argument("--duration", type=duration, default=1.0, metavar="TIME", help="of each run of wrk (1s)")
    parser.add_argument("--rounds", type=integer(1, 1000), default=7, metavar="N", help="runs of each server (7)")
    _comparison_arguments(parser, "bare,snooze,fastapi-tuned")


def throughput(arguments: argparse.Namespace) -> int:
    """Measure requests per second and print the table."""
    from tempfile import TemporaryDirectory

    from snooze.benchmarks import models
    from snooze.benchmarks.throughput import KNATIVE_HEADERS, rows_of, run, standard_rows

    if arguments.standard == bool(arguments.bundles):
        raise InvalidOption("--standard", "expected bundles, or --standard and no bundles")
    headers = KNATIVE_HEADERS if arguments.knative_headers else None
    with TemporaryDirectory() as folder:
        if arguments.standard:
            rows = standard_rows(models.convert_all(Path(folder)))
        else:
            rows = rows_of(arguments.bundles, arguments.rows, arguments.encoding.split(","))
        results = run(rows, servers_of(arguments), arguments.duration, arguments.rounds, headers)
    return _publish(results, arguments)


def growth_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench growth`."""
    parser.add_argument("--duration", type=duration, default=2.0, metavar="TIME", help="of each run of wrk (2s)")
    parser.add_argument("--rounds", type=integer(1, 1000), default=3, metavar="N", help="runs of each case (3)")
    _output_arguments(parser)


def growth(arguments: argparse.Namespace) -> int:
    """Measure what growth costs and print the table."""
    from tempfile import TemporaryDirectory

    from snooze.benchmarks import models
    from snooze.benchmarks.growth import run

    with TemporaryDirectory() as folder:
        made = models.convert_all(Path(folder))
        results = run(made, arguments.duration, arguments.rounds, arguments.python)
    return _publish(results, arguments)


def overload_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench overload`."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the model; the requests are its golden rows")
    parser.add_argument("--rows", type=integer(1, 65536), default=1, metavar="N", help="rows per request (1)")
    parser.add_argument("--deadline", type=duration, default=0.25, metavar="TIME", help="of each request (250ms)")
    parser.add_argument("--duration", type=duration, default=10.0, metavar="TIME", help="of each rate (10s)")
    _output_arguments(parser)


def overload(arguments: argparse.Namespace) -> int:
    """Measure the curve of goodput over load and print it."""
    from snooze.benchmarks.overload import run

    results = run(arguments.bundle, arguments.rows, arguments.deadline, arguments.duration, arguments.python)
    return _publish(results, arguments)


def events_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench events`."""
    parser.epilog = "Exit code: 1 if a request was lost or answered wrong."
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a small model, so that many requests are open")
    parser.add_argument(
        "--requests", type=integer(1, 10**7), default=20_000, metavar="N", help="for each event (20000)"
    )
    _output_arguments(parser)


def events(arguments: argparse.Namespace) -> int:
    """Count the requests that are lost around events, and print the table."""
    from snooze.benchmarks.events import failures, run

    results = run(arguments.bundle, arguments.requests, arguments.python)
    return _publish(results, arguments, failures(results))


def attack_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench attack`."""
    parser.epilog = "Needs root, to start each server in a control group of its own. Exit code: 1 if one does not pass."
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a model with texts is attacked with texts as well")
    parser.add_argument("--attacks", default="", metavar="NAMES", help="some of them, such as slow-heads,gzip (all)")
    parser.add_argument("--memory", type=size, default=size("112MiB"), metavar="SIZE", help="of the server (112MiB)")
    parser.add_argument(
        "--scale",
        type=number(1e-6, 100),
        default=1.0,
        metavar="X",
        help="multiply the numbers of clients and requests (1)",
    )
    _output_arguments(parser)


def attack(arguments: argparse.Namespace) -> int:
    """Attack confined servers and print the table."""
    from snooze.benchmarks.robustness.attacks import failures, run

    results = run(arguments.bundle, arguments.attacks, arguments.memory, arguments.scale, arguments.python)
    return _publish(results, arguments, failures(results))


def fuzz_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench fuzz`."""
    parser.epilog = "Exit code: 1 if anything was found; each kind of finding is printed with the first request."
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="whose signature the requests are made for")
    parser.add_argument(
        "--requests", type=integer(1, 10**9), default=200_000, metavar="N", help="to send in all (200000)"
    )
    parser.add_argument("--seed", type=integer(0, 2**32), default=1, metavar="N", help="other requests (1)")
    parser.add_argument(
        "--path", default="both", metavar="NAME", help="protocol, asgi or both, half of them each (both)"
    )
    _output_arguments(parser)


def fuzz(arguments: argparse.Namespace) -> int:
    """Fuzz a server over both paths and print the table."""
    from snooze.benchmarks.robustness.fuzz import failures, run

    results = run(arguments.bundle, arguments.requests, arguments.seed, arguments.path, arguments.python)
    return _publish(results, arguments, failures(results))


def _output_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="the interpreter of the environment of Snooze"
    )
    parser.add_argument("--output", type=Path, metavar="STEM", help="also write STEM.json and STEM.md")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON document")


def _publish(results: "Results", arguments: argparse.Namespace, failures: Sequence[str] = ()) -> int:
    """Print the results, write them if that is asked for, name the failures on stderr, and return the exit code."""
    results.publish(arguments.output, arguments.json)
    for failure in failures:
        print(f"snooze: failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _comparison_arguments(parser: argparse.ArgumentParser, servers: str) -> None:
    group = parser.add_argument_group("servers")
    parser.set_defaults(usual_servers=servers)
    default = f"{servers}, and those of --peer-python"
    group.add_argument("--servers", metavar="NAMES", help=f"some of {SERVERS} ({default})")
    group.add_argument(
        "--peer-python", type=_peer, action="append", default=[], metavar="NAME=PATH",
        help="the interpreter of another server's environment; for kserve and mlserver",
    )  # fmt: skip
    _output_arguments(parser)


def _counts(text: str) -> list[int]:
    return [integer(1, 100_000)(count) for count in text.split(",")]


def _peer(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, got {text!r}")
    return name, path


def servers_of(arguments: argparse.Namespace) -> "Servers":
    """Return the servers that were asked for, or else the usual ones and those with an environment."""
    from snooze.benchmarks.peers.candidates import Servers

    peers = dict(arguments.peer_python)
    names = arguments.servers or ",".join(dict.fromkeys([*arguments.usual_servers.split(","), *peers]))
    return Servers.of(names, arguments.python, peers)


def sizing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze bench sizing`."""
    parser.epilog = "The output is the file calibration.json of snooze.knative.sizing, for the machine it runs on."
    parser.add_argument("models", type=Path, metavar="REPOSITORY", help="bundles that were converted on this machine")
    parser.add_argument("--rounds", type=integer(1, 1000), default=3, metavar="N", help="how often each load runs (3)")
    parser.add_argument("--duration", type=duration, default=6.0, metavar="TIME", help="of each load (6s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures to FILE, do not print them")


def sizing(arguments: argparse.Namespace) -> int:
    """Calibrate the sizing and print the figures."""
    from snooze.benchmarks.sizing import run

    return run(arguments.models, arguments.rounds, arguments.duration, arguments.output)


COMMANDS: Final[
    Mapping[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int], str]]
] = {
    "load": (load_arguments, load, "offer a fixed rate of requests to a running server and report the outcomes"),
    "cold": (cold_arguments, cold, "compare the time from spawn to the first right answer with other servers"),
    "throughput": (
        throughput_arguments,
        throughput,
        "compare requests per second and latency on one core with other servers",
    ),
    "growth": (growth_arguments, growth, "measure what more models, more rows and a second core cost or bring"),
    "overload": (overload_arguments, overload, "offer up to three times of what a server can handle, with a deadline"),
    "events": (events_arguments, events, "count the requests that are lost while a server stops, sleeps and reloads"),
    "attack": (
        attack_arguments,
        attack,
        "attack servers within the image's limits, and report what they and others get",
    ),
    "fuzz": (fuzz_arguments, fuzz, "send valid, faulty and scrambled requests to a server, and check every answer"),
    "sizing": (sizing_arguments, sizing, "calibrate 'snooze size' on this machine, and measure its errors"),
}

"""`snooze size` and `snooze deploy`: arguments in, one call, an exit code out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.knative.quantities import parse_quantity

if TYPE_CHECKING:
    from snooze.bundle.contract import Bundle
    from snooze.knative.deployment import Deployment
    from snooze.knative.sizing import Size

SIZE_EXAMPLES: Final = """\
examples:
  snooze size models/tumour --rps 50
      what the newest version needs for 50 requests a second
  snooze size models/tumour/3 --rps 1000 --p99 20ms
      so many pods that 99 in 100 requests take at most 20 ms
  snooze size models/digits --rps 20 --rows 32 --json
      requests of 32 rows each; the figures for a machine to read

The figures hold for the CPU that the bundle was converted on. exit code: 0 done, 1 the promise cannot be kept,
2 the bundle or the options are wrong."""

DEPLOY_EXAMPLES: Final = """\
examples:
  snooze deploy models/tumour --image registry.example.com/tumour:3 --rps 50 --p99 20ms
      writes tumour.yaml, checked against Knative's rules, and prints the kn commands for it
  snooze deploy models/tumour --image registry.example.com/tumour:3 --min-scale 1 --private --output -
      one pod always warm, reachable from inside the cluster only; the manifest goes to standard output
  snooze deploy models/tumour --image registry.example.com/tumour@sha256:... --namespace models --apply
      also runs kn, and waits until the service is ready

The image holds the model and the server: docker build --build-arg MODELS=models/tumour -t IMAGE .
exit code: 0 done, 1 the promise cannot be kept or kn said no, 2 the bundle or the options are wrong."""

DEFAULT_RPS: Final = 10.0
LONGEST: Final = 366 * 86400.0
UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def size_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze size`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SIZE_EXAMPLES
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle, or a model's folder: its newest version")
    parser.add_argument(
        "--rps", type=float, required=True, metavar="N", help="requests per second, of all pods together"
    )
    _load_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")


def deploy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze deploy`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = DEPLOY_EXAMPLES
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle, or a model's folder: its newest version")
    parser.add_argument("--image", required=True, help="the image that holds this model; a digest, or a tag not latest")
    parser.add_argument("--name", help="the service's name (made of the model's)")
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    load = parser.add_argument_group("the load")
    load.add_argument(
        "--rps",
        type=float,
        default=DEFAULT_RPS,
        metavar="N",
        help=f"requests per second, of all pods ({DEFAULT_RPS:g})",
    )
    _load_arguments(load)
    scale = parser.add_argument_group("scaling")
    scale.add_argument("--min-scale", type=int, default=0, metavar="N", help="pods that always run (0)")
    scale.add_argument("--max-scale", type=int, metavar="N", help="most pods (room for twice the load)")
    scale.add_argument(
        "--window", type=seconds, default=60.0, metavar="TIME", help="idle time before scaling down (60s)"
    )
    scale.add_argument("--timeout", type=seconds, default=60.0, metavar="TIME", help="longest request, from 45s (60s)")
    cluster = parser.add_argument_group("the cluster")
    cluster.add_argument("--private", action="store_true", help="reachable from inside the cluster only")
    cluster.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server; may be repeated"
    )
    cluster.add_argument(
        "--cluster-feature", action="append", default=[], metavar="NAME", help="a Knative feature that is on there"
    )
    parser.add_argument("--output", metavar="FILE", help="where the manifest goes (NAME.yaml); - for standard output")
    parser.add_argument("--apply", action="store_true", help="run kn, and wait until the service is ready")
    parser.add_argument("--json", action="store_true", help="print manifest, commands and figures as one JSON document")


def _load_arguments(parser: Any) -> None:
    parser.add_argument("--p99", type=seconds, metavar="TIME", help="99 in 100 requests answered within: 20ms, 1s")
    parser.add_argument("--rows", type=int, default=1, metavar="N", help="rows in one request (1)")
    parser.add_argument(
        "--max-body",
        type=byte_size,
        metavar="SIZE",
        help="largest body: 64KiB, 4MiB (the most rows as JSON)",
    )


def seconds(text: str) -> float:
    """Return the seconds of 500ms, 20s or 2m."""
    number = text.rstrip("hms")
    try:
        value = float(number) * UNITS[text[len(number) :]]
    except (KeyError, ValueError):
        value = -1.0
    if not 0 <= value <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected a time such as 20ms, 1s or 2m, got {text!r}")
    return value


def byte_size(text: str) -> int:
    """Return the bytes of 4MiB, 64KiB or 1000000."""
    number = parse_quantity(text.strip().removesuffix("B").replace("K", "k").replace("ki", "Ki"))
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of bytes such as 64KiB or 4MiB, got {text!r}")
    return int(number)


def size(arguments: argparse.Namespace) -> int:
    """Print what a service needs for a load."""
    from snooze.knative import sizing

    bundle, _ = _read(arguments.bundle)
    result = sizing.size(bundle, arguments.rps, arguments.p99, arguments.rows, arguments.max_body)
    if arguments.json:
        _print_json({"model": bundle.name, "version": bundle.version, **result.as_dict()})
    else:
        print(f"{bundle.name} version {bundle.version}, measured on {bundle.profile.cpu}\n")
        print(describe(result))
    return 0


def deploy(arguments: argparse.Namespace) -> int:
    """Write the manifest, print the commands, and run one of them if asked to."""
    import sys

    from snooze.knative import deployment, sizing

    bundle, digest = _read(arguments.bundle)
    needed = sizing.size(bundle, arguments.rps, arguments.p99, arguments.rows, arguments.max_body)
    made = deployment.make(
        bundle, digest, needed, deployment.options(bundle, vars(arguments)), arguments.cluster_feature
    )
    to_stdout = arguments.output == "-"
    file = made.write(arguments.output)
    if to_stdout:
        sys.stdout.write(made.text)
    elif arguments.json:
        _print_json({"model": bundle.name, "version": bundle.version, **made.as_dict(file)})
    else:
        _print_story(made, file, needed, bundle)
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.apply:
        made.apply(file)
    return 0


def describe(size: "Size") -> str:
    """Return a size as a table for people, each figure with the error that is to be expected of it."""
    from snooze.knative.quantities import cpu, memory

    def error(name: str) -> str:
        seen = size.errors.get(name)
        return f"error seen: {seen.typical:.0%}, largest {seen.largest:.0%}" if seen else "error not measured"

    pod, promise = size.pod, f", p99 <= {size.p99_seconds * 1e3:g} ms" if size.p99_seconds else ""
    lines = [
        ("load", f"{size.rps:g} requests/s of {size.rows} row{'s' * (size.rows > 1)}{promise}", ""),
        ("pods", f"{size.pods}, each for up to {size.rps_per_pod:.4g} requests/s", error("cpu_cores")),
        ("cpu", f"request {cpu(size.cpu_request)}, limit {cpu(size.cpu_limit)}", error("cpu_cores")),
        ("memory", f"request {memory(size.memory_request)}, limit {memory(size.memory_limit)}", error("peak_bytes")),
        ("", f"largest body {size.max_body / 2**20:g} MiB", ""),
        ("concurrency", f"target {size.target}, limit {size.concurrency or 'none'}", ""),
        ("latency", f"p50 {pod.p50_seconds * 1e3:.3g} ms", error("p50_seconds")),
        ("", f"p99 {pod.p99_seconds * 1e3:.3g} ms", error("p99_seconds")),
    ]
    return "\n".join(f"  {name:12} {value:48} {note}".rstrip() for name, value, note in lines)


def _print_story(made: "Deployment", file: Path | None, size: "Size", bundle: "Bundle") -> None:
    print(f"{bundle.name} version {bundle.version} for Knative\n\n{describe(size)}\n")
    print(f"{file}: checked against the rules of Knative 1.23, {len(made.warnings)} warnings\n")
    print(f"# all of it:\n{made.apply_text(file)}\n\n# the same in flags, for reading:\n{made.create_text()}")
    for field in made.left_out():
        print(f"# not in the flags: {field}")


def _read(path: Path) -> "tuple[Bundle, str]":
    """Return the bundle and the SHA-256 of its `bundle.json`, which in turn holds those of its other files."""
    from snooze.bundle.store import latest, read, sha256

    found = latest(path)
    return read(found.folder), sha256(found.folder / "bundle.json")


def _print_json(document: dict[str, Any]) -> None:
    import json

    print(json.dumps(document, indent=2))

"""`snooze size` and `snooze deploy`: options, output and exit codes."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.bundle import arguments
from snooze.knative.manifest.names import from_model
from snooze.knative.manifest.options import TIMEOUT, USER, WINDOW, Options, parse_environment

if TYPE_CHECKING:
    from snooze.bundle.contract import Bundle
    from snooze.bundle.evidence import Profile
    from snooze.bundle.store import Found
    from snooze.knative.rollout.deployment import Deployment
    from snooze.knative.sizing.size import Size

SIZE_EXAMPLES: Final = """\
examples:
  snooze size models/tumour --rps 50
      the size for 50 requests per second, for the newest version
  snooze size models/tumour/3 --rps 1000 --p99 20ms
      enough pods for 99 of 100 requests to take at most 20 ms
  snooze size models/digits --rps 20 --rows 32 --json
      requests of 32 rows each; figures as JSON

The figures are for the CPU that the bundle was converted on. Exit codes: 0 done, 1 the p99 is not possible, 2 the
bundle or the options are wrong."""

DEPLOY_EXAMPLES: Final = """\
examples:
  snooze deploy models/tumour --image registry.example.com/tumour:3 --rps 50 --p99 20ms
      write the manifest tumour.yaml and print the kn commands for it
  snooze deploy models/tumour --image registry.example.com/tumour:3 --min-scale 1 --private --output -
      one pod is always warm, reachable from inside the cluster only; print the manifest
  snooze deploy models/tumour --image registry.example.com/tumour@sha256:... --namespace models --apply
      also run kn, and wait until the service is ready

The image holds the model and the server: docker build --build-arg MODELS=models/tumour -t IMAGE .
Exit codes: 0 done, 1 the p99 is not possible or kn failed, 2 the bundle or the options are wrong."""

DEFAULT_RPS: Final = 10.0


def size_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze size`."""
    _add_bundle(parser, SIZE_EXAMPLES)
    parser.add_argument("--rps", type=float, required=True, metavar="N", help="requests per second, for all pods")
    _add_load(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def deploy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze deploy`."""
    _add_bundle(parser, DEPLOY_EXAMPLES)
    parser.add_argument("--image", required=True, help="the image with this model: a digest, or a tag but not latest")
    parser.add_argument("--name", help="the service's name (from the model's name)")
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    load = parser.add_argument_group("load")
    rate = f"requests per second, for all pods ({DEFAULT_RPS:g})"
    load.add_argument("--rps", type=float, default=DEFAULT_RPS, metavar="N", help=rate)
    _add_load(load)
    scale = parser.add_argument_group("scaling")
    scale.add_argument("--min-scale", type=int, default=0, metavar="N", help="pods that always run (0)")
    scale.add_argument("--max-scale", type=int, metavar="N", help="most pods, 0 for no limit (twice the pods needed)")
    for name, default, what in (
        ("--window", WINDOW, "idle time before scaling down, 6s to 1h"),
        ("--timeout", TIMEOUT, "longest request, 45s to 10m"),
    ):
        scale.add_argument(
            name, type=arguments.duration, default=default, metavar="TIME", help=f"{what} ({default:g}s)"
        )
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument("--private", action="store_true", help="reachable from inside the cluster only")
    env = "a setting of the server; may be repeated"
    cluster.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help=env)
    user = f"user ID of the container; none lets the cluster choose, as OpenShift requires ({USER})"
    cluster.add_argument("--user", type=_user, default=USER, metavar="ID", help=user)
    scratch = "mount an empty volume at /tmp; costs about 280 ms in each cold start"
    cluster.add_argument("--scratch", action="store_true", help=scratch)
    parser.add_argument("--output", metavar="FILE", help="file for the manifest (NAME.yaml), - for standard output")
    parser.add_argument("--apply", action="store_true", help="run kn, and wait until the service is ready")
    parser.add_argument("--json", action="store_true", help="print manifest, commands and figures as one JSON document")


def size(options: argparse.Namespace) -> int:
    """Print the size of a service for a load."""
    found, profile, needed = _calculate(options)
    if options.json:
        print(json.dumps({"model": found.name, "version": found.version, **asdict(needed)}, indent=2))
    else:
        print(f"{found.name} version {found.version}, measured on {profile.cpu}\n")
        print(format_table(needed))
    return 0


def deploy(options: argparse.Namespace) -> int:
    """Write the manifest, print the commands, and run `kn` with --apply."""
    from snooze.bundle.store import sha256
    from snooze.knative.rollout.deployment import prepare

    found, _, needed = _calculate(options)
    bundle = found.bundle
    # `bundle.json` contains the hashes of the bundle's other files.
    digest = sha256(found.folder / "bundle.json")
    deployment = prepare(bundle, digest, needed, _manifest_options(bundle, options))
    file = deployment.write(options.output)
    if file is None:
        sys.stdout.write(deployment.text)
    elif options.json:
        print(json.dumps({"model": bundle.name, "version": bundle.version, **deployment.as_dict(file)}, indent=2))
    else:
        _print_commands(bundle, deployment, file)
    for warning in deployment.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.apply:
        deployment.apply(file)
    return 0


def format_table(size: "Size") -> str:
    """Return a size as a table, each figure with its expected error."""
    from snooze.bundle.units import format_count, format_duration, format_size
    from snooze.knative.manifest.quantities import format_cpu, format_memory

    def error(figure: str) -> str:
        deviation = size.deviations[figure]
        return f"typical error {deviation.typical:.0%}, largest seen {deviation.largest:.0%}"

    pod, p99 = size.pod, f", p99 <= {format_duration(size.p99_seconds)}" if size.p99_seconds else ""
    cpu = f"request {format_cpu(size.cpu_request)}, limit {format_cpu(size.cpu_limit)}"
    memory = f"request {format_memory(size.memory_request)}, limit {format_memory(size.memory_limit)}"
    lines = [
        ("load", f"{size.rps:g} requests/s of {format_count(size.rows, 'row')}{p99}", ""),
        ("pods", f"{size.pods}, each for up to {size.rps_per_pod:.4g} requests/s", error("cpu_cores")),
        ("cpu", cpu, error("cpu_cores")),
        ("memory", memory, error("peak_bytes")),
        ("", f"largest body {format_size(size.max_body)}", ""),
        ("concurrency", f"target {size.target}, limit {size.concurrency or 'none'}", ""),
        ("latency", f"p50 {format_duration(pod.p50_seconds)}", error("p50_seconds")),
        ("", f"p99 {format_duration(pod.p99_seconds)}", error("p99_seconds")),
    ]
    return "\n".join(f"  {name:12} {value:48} {note}".rstrip() for name, value, note in lines)


def _add_bundle(parser: argparse.ArgumentParser, examples: str) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle, or a model's folder: its newest version")


def _add_load(parser: Any) -> None:
    parser.add_argument("--p99", type=arguments.duration, metavar="TIME", help="the p99 latency to meet: 20ms, 1s")
    parser.add_argument("--rows", type=int, default=1, metavar="N", help="rows per request (1)")
    body = "largest body of a request: 64KiB, 4M (the most rows as JSON)"
    parser.add_argument("--max-body", type=arguments.size, metavar="SIZE", help=body)


def _user(text: str) -> int | None:
    """Return a user ID, or None for `none`."""
    return None if text == "none" else arguments.integer(1, 2**31 - 1)(text)


def _calculate(options: argparse.Namespace) -> "tuple[Found, Profile, Size]":
    """Return the bundle, its profile, and the size for the load."""
    from snooze.bundle.evidence import read_profile
    from snooze.bundle.store import latest
    from snooze.knative.sizing.size import size

    found = latest(options.bundle)
    profile = read_profile(found.bundle)
    needed = size(found.bundle, profile, options.rps, options.p99, options.rows, options.max_body)
    return found, profile, needed


def _manifest_options(bundle: "Bundle", options: argparse.Namespace) -> Options:
    given = {name: value for name, value in vars(options).items() if name in Options.__slots__}
    given["name"] = options.name or from_model(bundle.name)
    return Options(**given, environment=parse_environment(options.env))


def _print_commands(bundle: "Bundle", deployment: "Deployment", file: Path) -> None:
    from snooze.knative.rollout import kn

    manifest = deployment.manifest
    print(f"{bundle.name} version {bundle.version} for Knative\n\n{format_table(deployment.size)}\n")
    print(f"manifest written to {file}\n\n# apply it:\n{kn.format_command(kn.apply_command(manifest, str(file)))}\n")
    print(f"# the same in flags:\n{kn.format_command(kn.create_command(manifest))}")
    for field in kn.left_out(manifest):
        print(f"# without a flag: {field}")

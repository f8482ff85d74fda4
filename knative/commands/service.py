"""The options that several commands share: a bundle, the load that a service is sized for, and its manifest."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.bundle import arguments
from snooze.knative.manifest.names import from_model
from snooze.knative.manifest.options import TIMEOUT, USER, WINDOW, Options, parse_environment
from snooze.knative.registry import pin

if TYPE_CHECKING:
    from snooze.bundle.contract import Bundle
    from snooze.bundle.evidence import Profile
    from snooze.bundle.store import Found
    from snooze.knative.rollout.deployment import Deployment
    from snooze.knative.sizing.size import Size

DEFAULT_RPS: Final = 10.0


def add_bundle(parser: argparse.ArgumentParser, examples: str) -> None:
    """Add the argument BUNDLE, and the examples to the help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle, or a model's folder: its newest version")


def add_load(parser: Any, rps: float | None = None) -> None:
    """Add the options of the load; without a default for `--rps` it is required."""
    rate = "requests per second, for all pods" + (f" ({rps:g})" if rps else "")
    parser.add_argument("--rps", type=float, default=rps, required=rps is None, metavar="N", help=rate)
    parser.add_argument("--p99", type=arguments.duration, metavar="TIME", help="the p99 latency to meet: 20ms, 1s")
    parser.add_argument("--rows", type=int, default=1, metavar="N", help="rows per request (1)")
    body = "largest body of a request: 64KiB, 4M (the most rows as JSON)"
    parser.add_argument("--max-body", type=arguments.size, metavar="SIZE", help=body)


def add_service(parser: argparse.ArgumentParser) -> None:
    """Add the options of the manifest: image, load, scaling, figures and cluster."""
    parser.add_argument("--image", required=True, help="the image with this model, best by its digest")
    pin = "ask the registry for the digest of the image's tag (with skopeo), and write it into the manifest"
    parser.add_argument("--pin", action="store_true", help=pin)
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    load = parser.add_argument_group("load")
    add_load(load, DEFAULT_RPS)
    _add_scaling(parser.add_argument_group("scaling"))
    _add_figures(parser.add_argument_group("in place of what is calculated"))
    _add_cluster(parser.add_argument_group("cluster"))


def _add_scaling(group: Any) -> None:
    keep = "pods that always run; each costs its memory and CPU request all the time, and no request waits for a start"
    group.add_argument("--min-scale", type=int, default=0, metavar="N", help=f"{keep} (0)")
    group.add_argument("--max-scale", type=int, metavar="N", help="most pods, 0 for no limit (twice the pods needed)")
    for name, default, what in (
        ("--window", WINDOW, "idle time before scaling down, 6s to 1h"),
        ("--retention", 0.0, "time for which the last pod stays idle after that, up to 1h; costs a pod for as long"),
        ("--timeout", TIMEOUT, "longest request, 45s to 10m"),
    ):
        group.add_argument(
            name, type=arguments.duration, default=default, metavar="TIME", help=f"{what} ({default:g}s)"
        )


def _add_figures(group: Any) -> None:
    for name in ("cpu-request", "cpu-limit", "memory-request", "memory-limit"):
        example = "cores: 250m, 2" if name.startswith("cpu") else "bytes: 96Mi, 1G"
        group.add_argument(f"--{name}", metavar="QUANTITY", help=f"{example} (from the profile)")
    for name, what in (
        ("--concurrency", "most requests in a pod at once, 0 for no limit (what meets the p99)"),
        ("--target", "requests in a pod that the autoscaler aims at (from the profile)"),
        ("--burst-capacity", "Knative's target-burst-capacity, from -1 (from the time of a request)"),
    ):
        group.add_argument(name, type=int, metavar="N", help=what)
    start = (
        "longest start: until then no server is restarted because it does not answer (from the profile, at least 60s)"
    )
    group.add_argument("--start-timeout", type=arguments.duration, metavar="TIME", help=start)


def _add_cluster(group: Any) -> None:
    group.add_argument("--private", action="store_true", help="reachable from inside the cluster only")
    env = "a setting of the server; may be repeated"
    group.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help=env)
    pull = "secret with the registry's credentials; may be repeated"
    group.add_argument("--pull-secret", action="append", default=[], metavar="NAME", help=pull)
    account = "service account of the pods (the namespace's default)"
    group.add_argument("--service-account", metavar="NAME", help=account)
    user = f"user ID of the container; none lets the cluster choose, as OpenShift requires ({USER})"
    group.add_argument("--user", type=_user, default=USER, metavar="ID", help=user)
    scratch = "mount an empty volume at /tmp; costs about 280 ms in each cold start"
    group.add_argument("--scratch", action="store_true", help=scratch)


def calculate(options: argparse.Namespace) -> "tuple[Found, Profile, Size]":
    """Return the bundle, its profile, and the size for the load."""
    from snooze.bundle.evidence import read_profile
    from snooze.bundle.store import latest
    from snooze.knative.sizing.size import size

    found = latest(options.bundle)
    profile = read_profile(found.bundle)
    needed = size(found.bundle, profile, options.rps, options.p99, options.rows, options.max_body)
    return found, profile, needed


def manifest_options(bundle: "Bundle", options: argparse.Namespace) -> Options:
    """Return the manifest's options; without a name it is that of the model."""
    given = {name: value for name, value in vars(options).items() if name in Options.__slots__}
    given |= {"name": options.name or from_model(bundle.name), "pull_secret": tuple(options.pull_secret)}
    checked = Options(**given, environment=parse_environment(options.env))
    return replace(checked, image=pin(checked.image)) if options.pin else checked


def prepare(options: argparse.Namespace) -> "tuple[Found, Deployment]":
    """Return the bundle and its deployment."""
    from snooze.bundle.store import sha256
    from snooze.knative.rollout import deployment

    found, _, needed = calculate(options)
    # `bundle.json` contains the hashes of the bundle's other files.
    digest = sha256(found.folder / "bundle.json")
    return found, deployment.prepare(found.bundle, digest, needed, manifest_options(found.bundle, options))


def _user(text: str) -> int | None:
    """Return a user ID, or None for `none`."""
    return None if text == "none" else arguments.integer(1, 2**31 - 1)(text)

"""`snooze deploy`: options, output and exit codes."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from snooze.knative.commands.observation import add_observation, observe, write_rules
from snooze.knative.commands.service import add_bundle, add_service, prepare
from snooze.knative.commands.size import format_table

if TYPE_CHECKING:
    from snooze.bundle.store import Found
    from snooze.knative.rollout.deployment import Deployment

DEPLOY_EXAMPLES: Final = """\
examples:
  snooze deploy models/tumour --image registry.example.com/tumour:3 --rps 50 --p99 20ms
      write the manifest tumour.yaml and print the commands for it
  snooze deploy models/tumour --image registry.example.com/tumour:3 --min-scale 1 --private --output -
      one pod is always warm, reachable from inside the cluster only; print the manifest
  snooze deploy models/tumour --image registry.example.com/tumour@sha256:... --namespace models --apply
      also apply it with kubectl, and wait until the service is ready
  snooze deploy models/tumour --image registry.example.com/tumour:3 --p99 20ms --monitor --alerts --network-policy
      with a PodMonitor, alert rules and a NetworkPolicy in the same file

The image holds the model and the server: snooze image models/tumour --tag IMAGE
Exit codes: 0 done, 1 the p99 is not possible or the service does not get ready, 2 the bundle or the options are wrong.
"""


def deploy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze deploy`."""
    add_bundle(parser, DEPLOY_EXAMPLES)
    parser.add_argument("--name", help="the service's name (from the model's name)")
    add_service(parser)
    add_observation(parser)
    parser.add_argument("--output", metavar="FILE", help="file for the manifest (NAME.yaml), - for standard output")
    parser.add_argument("--apply", action="store_true", help="apply it with kubectl, and wait until it is ready")
    parser.add_argument("--json", action="store_true", help="print manifest, commands and figures as one JSON document")


def deploy(options: argparse.Namespace) -> int:
    """Write the manifest, print the commands, and change the cluster with --apply."""
    found, prepared = prepare(options)
    deployment = prepared.add(*observe(found.bundle, prepared, options))
    if options.rules:
        write_rules(found.bundle, prepared, options)
    file = deployment.write(options.output)
    if file is None:
        sys.stdout.write(deployment.text)
    elif options.json:
        document = {"model": found.name, "version": found.version, **deployment.as_dict(file)}
        print(json.dumps(document, indent=2))
    else:
        _print_commands(found, deployment, file)
    for warning in deployment.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.apply:
        sys.stdout.flush()
        _apply(deployment, options.namespace)
    return 0


def _print_commands(found: "Found", deployment: "Deployment", file: Path) -> None:
    from snooze.knative.rollout import kn

    manifest = deployment.manifest
    print(f"{found.name} version {found.version} for Knative\n\n{format_table(deployment.size)}\n")
    print(f"manifest written to {file}\n\n# apply it:\n{kn.format_command(kn.apply_command(str(file)))}\n")
    print(f"# the same in flags:\n{kn.format_command(kn.create_command(manifest))}")
    for field in kn.left_out(manifest):
        print(f"# without a flag: {field}")


def _apply(deployment: "Deployment", namespace: str) -> None:
    """Apply the manifest and wait until the revision is ready; what happens goes to standard error."""
    from snooze.knative.kubectl import Cluster
    from snooze.knative.rollout import readiness

    def report(text: str) -> None:
        if sys.stderr.isatty():
            print(f"waiting for {deployment.revision}: {text}", file=sys.stderr)

    cluster = Cluster(namespace)
    deployment.apply(cluster)
    service = readiness.wait(cluster, deployment.name, deployment.revision, report)
    own = next((one for one in service.targets if one.tag == deployment.tag), None)
    print(f"{deployment.revision} is ready; {deployment.name} answers at {service.url}", file=sys.stderr)
    if own is not None:
        print(f"{deployment.revision} alone answers at {own.url}", file=sys.stderr)
    if len(service.split) > 1:
        shares = ", ".join(f"{revision} {percent} %" for revision, percent in service.split.items())
        print(f"requests are split, and stay so: {shares}; snooze rollout moves them", file=sys.stderr)

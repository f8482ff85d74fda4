"""`snooze rollout` and `snooze rollback`: options, output and exit codes."""

import argparse
import json
import os
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.bundle import arguments
from snooze.knative.commands.service import add_bundle, add_service, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snooze.bundle.store import Found
    from snooze.knative.kubectl import Cluster
    from snooze.knative.rollout.canary import Canary
    from snooze.knative.rollout.rollout import Checks

STEPS: Final = "5,25,50,100"
REASONS: Final = "errors,p99,disagreement"
MIN_REQUESTS: Final = 100
MAX_ERROR_RATE: Final = 0.01
MAX_DISAGREEMENT: Final = 0.2
STEP_SECONDS: Final = 600.0
TOKEN_VARIABLE: Final = "SNOOZE_PROMETHEUS_TOKEN"  # noqa: S105 - its name

ROLLOUT_EXAMPLES: Final = """\
examples:
  snooze rollout tumour models/tumour --image registry.example.com/tumour:4
      5, 25, 50, then all of the requests for the new version; at the first problem everything is put back
  snooze rollout tumour models/tumour --image registry.example.com/tumour:4 --steps 10,100 --abort-on errors,p99 \\
      --max-p99 20ms --shadow rows.csv
      two steps; compare answers to the rows of a file before the first one
  snooze rollout tumour models/tumour --image registry.example.com/tumour:4 --hold 50
      stop at half of the requests, for an A/B test; the same command without --hold goes on, snooze rollback goes back

The same command continues a rollout that was interrupted. Exit codes: 0 done or held, 1 everything was put back (the
reason is printed) or the cluster refused something, 2 the bundle or the options are wrong, 130 and 143 interrupted:
the split stays."""
ROLLBACK_EXAMPLES: Final = """\
examples:
  snooze rollback tumour
      every request to the version before; during a rollout: to the one from which it began
  snooze rollback tumour --to 3
      to version 3 of the model
  snooze rollback tumour --to tumour-00002 --namespace models
      to a revision

Exit codes: 0 the other version serves everything, 1 the cluster refused something, 2 there is no such version."""


def rollout_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze rollout`."""
    parser.add_argument("name", metavar="NAME", help="the Knative Service")
    add_bundle(parser, ROLLOUT_EXAMPLES)
    steps = parser.add_argument_group("steps")
    share = f"percent of the requests for the new version, step by step ({STEPS})"
    steps.add_argument("--steps", type=_percents, default=STEPS, metavar="N,N,...", help=share)
    requests = f"requests to the new version before the next step ({MIN_REQUESTS})"
    count = arguments.integer(1, 10**9)
    steps.add_argument("--min-requests", type=count, default=MIN_REQUESTS, metavar="N", help=requests)
    wait = "longest wait for them in a step; then everything is put back (600s)"
    steps.add_argument("--step-timeout", type=arguments.duration, default=STEP_SECONDS, metavar="TIME", help=wait)
    hold = "stop at this split, for an A/B test"
    steps.add_argument("--hold", type=arguments.integer(1, 99), metavar="PERCENT", help=hold)
    _add_conditions(parser.add_argument_group("when everything is put back"))
    parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to standard error")
    add_service(parser)


def _add_conditions(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--abort-on", type=_reasons, default=REASONS, metavar="REASON,...", help=f"reasons ({REASONS})")
    errors = f"share of failed requests ({MAX_ERROR_RATE:g})"
    rate = arguments.number(0, 1)
    group.add_argument("--max-error-rate", type=rate, default=MAX_ERROR_RATE, metavar="SHARE", help=errors)
    p99 = "p99 of the new version (compared with that of the old one)"
    group.add_argument("--max-p99", type=arguments.duration, metavar="TIME", help=p99)
    differ = f"share of rows with another label, or relative difference of values ({MAX_DISAGREEMENT:g})"
    group.add_argument("--max-disagreement", type=rate, default=MAX_DISAGREEMENT, metavar="SHARE", help=differ)
    rows = "rows that both versions are asked before the first step (the golden samples)"
    group.add_argument("--shadow", type=Path, metavar="FILE", help=rows)
    group.add_argument("--label", metavar="COLUMN", help="column of that file that is not an input")
    url = f"count with this Prometheus instead of reading the pods; ${TOKEN_VARIABLE} is its bearer token"
    group.add_argument("--prometheus", metavar="URL", help=url)


def rollback_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze rollback`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = ROLLBACK_EXAMPLES
    parser.add_argument("name", metavar="NAME", help="the Knative Service")
    parser.add_argument("--to", metavar="VERSION", help="version of the model, or a revision (the one before)")
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to standard error")


def rollout(options: argparse.Namespace) -> int:
    """Roll out a version, or put everything back."""
    from snooze.knative.rollout import lock
    from snooze.knative.rollout.errors import AlreadyServing, PutBack
    from snooze.knative.rollout.patience import PatientCluster
    from snooze.knative.rollout.rollout import run
    from snooze.knative.rollout.steps import make_plan

    plan = make_plan(options.steps, options.min_requests, options.step_timeout, options.hold)
    found, deployment = prepare(options)
    cluster = PatientCluster(options.namespace)
    checks = _make_checks(options, cluster, found)
    for warning in deployment.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    report = Progress(options.json)
    try:
        canary = lock.take(cluster, deployment)
    except AlreadyServing as error:  # a pipeline that runs again has nothing to do
        report(str(error))
        report.end({"service": options.name, "new": error.revision, "ending": "unchanged"})
        return 0
    report(f"{canary.record.old} serves {options.name}, {canary.record.new} is to take over")
    with _left_in_order(canary, report), canary.renewed():
        outcome = run(canary, deployment, plan, checks, report)
    if outcome.ending == "held":
        _print_arms(canary, report)
    report.end(
        {**_describe(canary), "ending": outcome.ending, "reason": outcome.reason, "seconds_back": outcome.seconds}
    )
    if outcome.seconds is not None:
        raise PutBack(canary.record.old, outcome.reason or "", outcome.seconds)
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Give every request to an earlier version."""
    from snooze.knative.rollout.patience import PatientCluster
    from snooze.knative.rollout.rollback import prepare

    report = Progress(options.json)
    canary = prepare(PatientCluster(options.namespace), options.name, options.to)
    with _left_in_order(canary, report), canary.renewed():
        seconds = canary.put_back("rolled back", report)
    report.end({**_describe(canary), "ending": "rolled back", "reason": None, "seconds_back": seconds})
    return 0


class Progress:
    """Prints what happens with the seconds since the beginning; as JSON, one document at the end."""

    def __init__(self, as_json: bool) -> None:
        """Begin to count."""
        self._as_json = as_json
        self._began = time.monotonic()
        self._events: list[dict[str, Any]] = []

    def __call__(self, text: str) -> None:
        """Print a line."""
        seconds = round(time.monotonic() - self._began, 1)
        self._events.append({"seconds": seconds, "event": text})
        print(f"{seconds:7.1f} s  {text}", file=sys.stderr if self._as_json else sys.stdout, flush=True)

    def end(self, result: dict[str, Any]) -> None:
        """Print the document, if that is what was asked for."""
        if self._as_json:
            print(json.dumps({**result, "events": self._events}, indent=2))


@contextmanager
def _left_in_order(canary: "Canary", report: Progress) -> "Iterator[None]":
    """When the rollout is interrupted, release the lock, and print the split and the ways on."""
    from snooze.knative.errors import KnativeError
    from snooze.knative.rollout.errors import Displaced

    try:
        yield
    except Displaced:
        raise  # it is not ours any more
    except (KeyboardInterrupt, SystemExit, KnativeError):
        report(
            "stopped here, the split stays: "
            + ", ".join(f"{name} {share} %" for name, share in canary.percents.items())
        )
        service = f"{canary.live.name} --namespace {canary.live.cluster.namespace}"
        report(f"the same command continues; snooze rollback {service} goes back")
        try:
            canary.release()
        except KnativeError as error:
            report(f"the lock was not released, it ends by itself after a minute: {error}")
        raise


def _describe(canary: "Canary") -> dict[str, Any]:
    namespace = canary.live.cluster.namespace
    return {"service": canary.live.name, "namespace": namespace, "old": canary.record.old, "new": canary.record.new}


def _print_arms(canary: "Canary", report: Progress) -> None:
    for target in canary.targets():
        report(f"{target.revision} gets {target.percent} %, and answers alone at {target.url}")
    report("the same command without --hold goes on; snooze rollback goes back")


def _make_checks(options: argparse.Namespace, cluster: "Cluster", found: "Found") -> "Checks":
    from snooze.bundle.errors import InvalidOption
    from snooze.knative.rollout.judging.judging import Judging
    from snooze.knative.rollout.judging.options import Options
    from snooze.knative.rollout.judging.prometheus import parse_token
    from snooze.knative.rollout.judging.questions import read_questions
    from snooze.knative.rollout.judging.shadow import shadow
    from snooze.knative.rollout.rollout import Checks

    try:
        token = parse_token(os.environ.get(TOKEN_VARIABLE, ""))
    except ValueError as error:
        raise InvalidOption(TOKEN_VARIABLE, str(error)) from None
    given = {name: value for name, value in vars(options).items() if name in Options._fields}
    limits = Options(**given, token=token)
    limits.check()
    questions = None if options.shadow is None else read_questions(options.shadow, options.label, found.bundle)
    return Checks(
        lambda old, new: shadow(limits, old, new, found, questions),
        lambda old, new: closing(Judging(limits, cluster, options.name, old, new, found)),
    )


def _percents(text: str) -> list[int]:
    """Return the percentages of `5,25,50,100`."""
    percent = arguments.integer(1, 100)
    return [percent(part) for part in text.split(",")]


def _reasons(text: str) -> frozenset[str]:
    """Return the reasons of `errors,p99`."""
    given = frozenset(text.split(","))
    if not given <= set(REASONS.split(",")):
        raise argparse.ArgumentTypeError(f"expected some of {REASONS}, got {text!r}")
    return given

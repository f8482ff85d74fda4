"""`snooze versions`: options, output and exit codes."""

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snooze.knative.rollout.versions import Version

VERSIONS_EXAMPLES: Final = """\
examples:
  snooze versions tumour
      the revisions of a service, the newest first, and what each serves and gets
  snooze versions tumour --namespace models
      in another namespace
  snooze versions tumour --json
      the same for programs

Exit codes: 0 done, 1 the cluster refused something, 2 there is no such service."""
HEADINGS: Final = ("revision", "version", "score", "traffic", "age", "ready", "url")


def versions_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze versions`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = VERSIONS_EXAMPLES
    parser.add_argument("name", metavar="NAME", help="the Knative Service")
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def versions(options: argparse.Namespace) -> int:
    """Print the versions of a service."""
    from snooze.knative.kubectl import Cluster
    from snooze.knative.rollout.live import read
    from snooze.knative.rollout.record import read_record
    from snooze.knative.rollout.revision import list_revisions
    from snooze.knative.rollout.versions import describe

    live = read(Cluster(options.namespace), options.name)
    found = describe(live, list_revisions(live.cluster, live.name))
    record = read_record(live)
    if options.json:
        rollout = record and {"old": record.old, "new": record.new, "percent": record.percent, "held": record.held}
        listed = [{**one._asdict(), "created": one.created.isoformat()} for one in found]
        document = {"service": live.name, "url": live.url, "rollout": rollout, "versions": listed}
        print(json.dumps(document, indent=2))
        return 0
    print(format_table(found, datetime.now(UTC)))
    if record is not None:
        state = "is held" if record.held else "is under way" if record.is_locked(datetime.now(UTC)) else "was stopped"
        print(f"\na rollout from {record.old} to {record.new} {state} at {record.percent} %")
    return 0


def format_table(found: "list[Version]", now: datetime) -> str:
    """Return versions as a table; below it the problems of those that have one."""
    from snooze.knative.rollout.versions import format_age

    rows: list[tuple[str, ...]] = [HEADINGS]
    for one in found:
        age = format_age((now - one.created).total_seconds())
        ready = "yes" if one.ready else "no"
        cells = (one.revision, one.version, one.score, f"{one.percent} %" if one.percent else None, age, ready, one.url)
        rows.append(tuple(cell or "-" for cell in cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    problems = [f"{one.revision}: {one.problem}" for one in found if one.problem]
    return "\n".join([*lines, *([""] if problems else []), *problems])

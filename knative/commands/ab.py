"""`snooze ab`: options, output and exit codes."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from snooze.bundle.arguments import duration, integer, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snooze.bundle.rows.values import Array
    from snooze.client.exchange import Payload
    from snooze.knative.comparison.arms import Arm
    from snooze.knative.comparison.replay import Pair

AB_EXAMPLES: Final = """\
examples:
  snooze ab tumour --data labelled.csv --label diagnosis
      ask both revisions that share the requests of the service, and say which one is better
  snooze ab tumour --data labelled.csv --label diagnosis --arms v3-1f2e3d,v4-9a8b7c --requests 500
      500 of the rows, by the tags of two revisions, whatever their share of the requests
  snooze ab tumour --data labelled.parquet --label diagnosis --header --json
      through the service's own URL, where Knative routes by the header Knative-Serving-Tag

The rows are asked one at a time, of both arms in turn. Exit codes: 0 done, whoever is better; 1 an arm is not ready,
only gives errors, or answers from another revision; 2 the rows or the options are wrong; 130 interrupted (what is known
is printed)."""


def ab_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze ab`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = AB_EXAMPLES
    parser.add_argument("name", metavar="NAME", help="the service")
    data = "labelled rows: .csv, .parquet, .jsonl, .json or .npz, or a folder of pictures with one subfolder per class"
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=data)
    parser.add_argument("--label", metavar="COLUMN", help="the column of --data that holds the labels")
    parser.add_argument("--namespace", default="default", help="the service's namespace (default)")
    arms = "two tags or revisions (the two that share the requests)"
    parser.add_argument("--arms", type=_arms, metavar="A,B", help=arms)
    parser.add_argument("--model", metavar="NAME", help="the model, where the service has several")
    most = "ask so many of the rows, drawn at random (all)"
    parser.add_argument("--requests", type=integer(1, 10**9), metavar="N", help=most)
    level = "confidence of the intervals and of the verdict (0.95)"
    parser.add_argument("--confidence", type=number(0.5, 0.999), default=0.95, metavar="SHARE", help=level)
    header = "ask the service's own URL with the header Knative-Serving-Tag, where Knative has that enabled"
    parser.add_argument("--header", action="store_true", help=header)
    silence = "longest silence of an arm (60s)"
    parser.add_argument("--timeout", type=duration, default=60.0, metavar="TIME", help=silence)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def ab(options: argparse.Namespace) -> int:
    """Compare two arms by labelled rows, and print what their answers show."""
    from snooze.bundle.errors import InvalidOption
    from snooze.client import v2
    from snooze.knative.comparison import replay, single_rows
    from snooze.knative.comparison.arms import choose, connect
    from snooze.knative.comparison.report import compare
    from snooze.knative.comparison.table import format_comparison
    from snooze.knative.kubectl import Cluster
    from snooze.knative.rollout import live

    if not options.timeout:
        raise InvalidOption("--timeout", "expected a duration above 0, such as 60s or 500ms")
    rows, labels = single_rows.read_labelled(options.data, options.label)
    service = live.read(Cluster(options.namespace), options.name)
    first, second = (
        connect(service, target, options.model, options.header, options.timeout)
        for target in choose(service, options.arms)
    )

    def write(arm: "Arm") -> "list[Payload]":
        signature = v2.read_metadata(arm.model, options.timeout)  # also wakes an arm that is scaled to zero
        return single_rows.write_requests(rows, options.data, options.label, *signature)

    requests = write(first), write(second)
    asked = replay.choose_rows(len(labels), options.requests)
    replies = replay.replay((first, second), requests, asked, options.timeout)
    pairs, interrupted = _collect(replies, labels, len(asked))
    comparison = compare(
        (options.name, options.namespace), (first, second), pairs, labels, len(asked), options.confidence
    )
    print(json.dumps(comparison.as_dict(), indent=2) if options.json else format_comparison(comparison))
    if interrupted:
        return 130
    return 0 if len(pairs) == len(asked) and comparison.verdict is not None else 1


def _arms(text: str) -> tuple[str, ...]:
    """Return the two names of `A,B`."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != 2 or not all(names):
        raise argparse.ArgumentTypeError(f"expected two tags or revisions such as v1-a1b2c3,v2-d4e5f6, got {text!r}")
    return names


def _collect(replies: "Iterator[Pair]", labels: "Array", total: int) -> "tuple[list[Pair], bool]":
    """Return the replies, and whether Ctrl-C ended them early."""
    from snooze.knative.comparison.scoring import score

    pairs: list[Pair] = []
    on_terminal = sys.stderr.isatty()
    try:
        for pair in replies:
            if not pairs and (prediction := pair.replies[0].prediction) is not None:
                score([(prediction, prediction)] * len(labels), labels)  # labels of another kind are an error at once
            pairs.append(pair)
            if on_terminal:
                print(f"\r\x1b[K{len(pairs):,} of {total:,} rows", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        return pairs, True
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return pairs, False

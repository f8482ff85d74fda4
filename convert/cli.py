"""The command `snooze convert`."""

import argparse
import sys
from pathlib import Path

from snooze.convert.frameworks.registry import NAMES

EPILOG = """\
examples:
  # a scikit-learn pipeline; reading a joblib file runs the code in it, so confirm that you trust it
  snooze convert tumour.joblib --trust --name tumour --target models --data rows.npz --labels malignant,benign

  # a Keras network; rows.npz holds the inputs by name, and as y the labels, by which 8-bit versions are scored
  snooze convert digits.keras --name digits --target models --data rows.npz --max-drop 0.2

  # rows from a table; serve the form that starts soonest instead of the one that runs fastest
  snooze convert prices.joblib --trust --name prices --target models --data sales.csv --label price --prefer start

Without --data the rows for the checks are drawn from the model's signature, and no 8-bit version is tried.
A refused model leaves nothing behind. Exit codes: 0 done, 1 a check failed, 2 the input or the usage is wrong.
"""


def convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze convert`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "source", metavar="SOURCE", help="the trained model: .joblib, .pkl, .pickle (--trust) or .keras"
    )
    parser.add_argument("--name", required=True, metavar="NAME", help="the model's name in the repository")
    parser.add_argument(
        "--target", required=True, metavar="FOLDER", help="the model repository, created if it does not exist"
    )
    rows = parser.add_argument_group("rows for the checks")
    rows.add_argument(
        "--data", type=Path, metavar="FILE", help="real rows: .npz (labels as y), .npy, .csv, .jsonl or .json"
    )
    rows.add_argument("--label", metavar="COLUMN", help="the column of a table that holds the labels")
    rows.add_argument("--labels", metavar="A,B,...", help="names for the classes, in the order of the model's own")
    reading = parser.add_argument_group("reading the model")
    reading.add_argument("--trust", action="store_true", help="read the file although that runs the code in it")
    reading.add_argument("--from", dest="framework", choices=tuple(NAMES), help="its framework (default: by the file)")
    choosing = parser.add_argument_group("choosing what is served")
    choosing.add_argument(
        "--quantize",
        choices=("auto", "none"),
        default="auto",
        help="try 8-bit versions if there is something to gain (default), or none",
    )
    choosing.add_argument(
        "--prefer",
        choices=("speed", "start", "size"),
        default="speed",
        help="the fastest run (default), the soonest start, or the smallest files",
    )
    choosing.add_argument(
        "--max-drop", type=float, default=0.5, metavar="POINTS", help="points of the score that 8 bits may lose (0.5)"
    )
    choosing.add_argument(
        "--max-flips", type=float, default=2.0, metavar="PERCENT", help="percent of labels that 8 bits may change (2)"
    )
    choosing.add_argument(
        "--rows", type=int, default=1, metavar="N", help="rows of a usual request, with which speed is measured (1)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def convert(arguments: argparse.Namespace) -> int:
    """Convert the model, and print what was found."""
    import json

    from snooze.bundle.codec import encode
    from snooze.bundle.overview import overview
    from snooze.convert.conversion import convert

    converted = convert(
        arguments.source,
        name=arguments.name,
        target=arguments.target,
        data=arguments.data,
        arguments=sys.argv[sys.argv.index("convert") + 1 :] if "convert" in sys.argv else [],
        progress=_print_progress if sys.stderr.isatty() else lambda step: None,
        label=arguments.label,
        labels=tuple(name.strip() for name in arguments.labels.split(",")) if arguments.labels is not None else None,
        trust=arguments.trust,
        framework=arguments.framework,
        quantize=arguments.quantize,
        prefer=arguments.prefer,
        max_drop=arguments.max_drop,
        max_flips=arguments.max_flips,
        rows=arguments.rows,
    )
    if arguments.json:
        document = {"folder": str(converted.folder), "report": str(converted.report)}
        print(json.dumps(document | {"bundle": json.loads(encode(converted.bundle))}, indent=2))
    else:
        print(*overview(converted.folder, converted.bundle), sep="\n")
    return 0


def _print_progress(step: str) -> None:
    print(f"... {step}", file=sys.stderr, flush=True)

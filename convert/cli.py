"""The command `snooze convert`."""

import argparse
import re
import sys
from pathlib import Path
from typing import get_args

from snooze.bundle.arguments import duration, size
from snooze.bundle.contract import Task
from snooze.convert.frameworks.registry import NAMES

EPILOG = """\
examples:
  # a scikit-learn pipeline; reading a joblib file runs the code in it, so confirm that you trust it
  snooze convert tumour.joblib --trust --name tumour --target models --data rows.npz --labels malignant,benign

  # a Keras network; rows.npz holds the inputs by name, and as y the labels, by which 8-bit versions are scored
  snooze convert digits.keras --name digits --target models --data rows.npz --max-drop 0.2

  # rows from a table; serve the form that starts soonest instead of the one that runs fastest
  snooze convert prices.joblib --trust --name prices --target models --data sales.csv --label price --prefer start

  # models of other frameworks: an ONNX file, a LightGBM booster, a SavedModel folder whose task it does not tell
  snooze convert detector.onnx --name detector --target models
  snooze convert churn.txt --name churn --target models --data customers.csv --label churned
  snooze convert saved_model/ --name risk --target models --task regression

The kind of a file is recognized by its content. Without --data the rows for the checks are drawn from the model, and
no 8-bit version is tried; TorchScript files and PyTorch modules need --data, because they do not state their inputs.
A refused model leaves nothing behind. Exit codes: 0 done, 1 a check failed, 2 the input or the usage is wrong.
"""
EPILOG_OF_TRY = """\
examples:
  snooze try tumour.skops                               a page on which the model answers; the checks use drawn rows
  snooze try tumour.skops --data rows.npz               the same, checked with real rows
  snooze try prices.joblib --trust --data sales.csv --label price --port 0

The model is converted as 'snooze convert' does it, to a temporary repository, and served on this machine until Ctrl-C;
then everything is removed. To keep the bundle, use 'snooze convert' and 'snooze serve'.
"""


def convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze convert`."""
    parser.epilog = EPILOG
    parser.add_argument("--name", required=True, metavar="NAME", help="the model's name in the repository")
    parser.add_argument("--target", required=True, metavar="FOLDER", help="the repository, created if necessary")
    _add_common(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def try_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze try`."""
    parser.epilog = EPILOG_OF_TRY
    parser.add_argument("--name", metavar="NAME", help="the model's name on the page (default: that of the file)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="port to listen on; 0: a free one (default: 8080 if it is free)")
    _add_common(parser)
    parser.set_defaults(json=False)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="the model: a file, or the folder of a SavedModel")
    rows = parser.add_argument_group("rows for the checks")
    rows.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="real rows: .npz (labels as y), .npy, .csv, .parquet, .jsonl, or a folder of pictures",
    )
    rows.add_argument("--label", metavar="COLUMN", help="the column of a table that holds the labels")
    rows.add_argument(
        "--adapter", type=Path, metavar="FILE", help="a JSON file with the adapter, instead of the inferred"
    )
    rows.add_argument(
        "--labels",
        metavar="A,B,...",
        help="names for the classes, or for a regressor's values, in the order of the model's own",
    )
    rows.add_argument(
        "--samples", choices=("real", "synthetic"), default="real", help="golden samples; synthetic: no real rows"
    )
    reading = parser.add_argument_group("reading the model")
    reading.add_argument("--trust", action="store_true", help="read the file although that runs the code in it")
    reading.add_argument(
        "--from", dest="framework", choices=tuple(NAMES), help="its framework (default: by the content)"
    )
    reading.add_argument("--task", choices=get_args(Task), help="what it is for, if the file does not tell it")
    reading.add_argument("--max-memory", type=size, metavar="SIZE", help="memory that a child process may use")
    reading.add_argument("--max-time", type=duration, default=1800.0, metavar="TIME", help="and how long it may take")
    choosing = parser.add_argument_group("choosing what is served")
    choosing.add_argument(
        "--quantize", choices=("auto", "none"), default="auto", help="try 8-bit versions if that may gain (default)"
    )
    choosing.add_argument(
        "--prefer", choices=("speed", "start", "size"), default="speed", help="fastest run, soonest start, least bytes"
    )
    choosing.add_argument("--max-drop", type=float, default=0.5, metavar="POINTS", help="score that 8 bits may lose")
    choosing.add_argument("--max-flips", type=float, default=2.0, metavar="PERCENT", help="labels they may change")
    choosing.add_argument("--rows", type=int, default=1, metavar="N", help="rows of a usual request (1)")


def convert(arguments: argparse.Namespace) -> int:
    """Convert the model, and print what was found."""
    import json

    from snooze.bundle.codec import encode
    from snooze.bundle.overview import overview
    from snooze.convert.conversion import convert
    from snooze.convert.options import Keywords

    given = {name: getattr(arguments, name) for name in ("source", "name", "target", "data", *Keywords.__annotations__)}
    if given["labels"] is not None:
        given["labels"] = tuple(name.strip() for name in given["labels"].split(","))
    command = sys.argv[sys.argv.index("convert") + 1 :] if "convert" in sys.argv else []
    if sys.stderr.isatty():
        given["progress"] = lambda step: print(f"... {step}", file=sys.stderr, flush=True)
    converted = convert(**given, arguments=command)
    if arguments.json:
        document = {"folder": str(converted.folder), "report": str(converted.report)}
        print(json.dumps(document | {"bundle": json.loads(encode(converted.bundle))}, indent=2))
    else:
        print(*overview(converted.folder, converted.bundle), sep="\n")
    return 0


def derive_name(source: str) -> str:
    """Return a name for the model of a file or folder: that of the file, as far as a model may be called so."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).resolve().stem)[:100].strip("._-") or "model"

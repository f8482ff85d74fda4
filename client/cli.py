"""`snooze predict`: its options, the answer of a server, and how an answer is printed."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from snooze.bundle.arguments import duration
from snooze.bundle.errors import InvalidOption

if TYPE_CHECKING:
    from snooze.bundle.rows.reading import Rows
    from snooze.client.exchange import Payload

EXAMPLES: Final = """\
examples:
  snooze predict models/tumour --data rows.csv --label diagnosis
  snooze predict http://127.0.0.1:8080 --row 5.1,3.5,1.4,0.2
  snooze predict http://127.0.0.1:8080 --model clothes --data shoe.jpg
  snooze predict http://models.example.com/v2/models/tumour --data rows.npy --json"""


def predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `snooze predict`."""
    parser.description = "Make predictions with a running server, or with a bundle in this process."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", metavar="URL-or-PATH", help="a server of the Open Inference protocol, or a bundle")
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument(
        "--row", action="append", metavar="V,V,...", help="one row, a JSON array, or a text; may be repeated"
    )
    rows.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="rows: .npz, .npy, .csv, .jsonl or .json; a picture, a folder of pictures, or a text (.txt)",
    )
    parser.add_argument("--label", metavar="COLUMN", help="the column of --data that is not an input")
    parser.add_argument("--model", metavar="NAME", help="the model, where the target has several")
    parser.add_argument("--version", metavar="N", help="the version (default: the highest)")
    parser.add_argument(
        "--timeout", type=duration, default=60.0, metavar="TIME", help="longest silence of a server (default: 60s)"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON document")


def read_rows(arguments: argparse.Namespace) -> "Rows":
    """Return the rows of `--row` or `--data`, without the labels."""
    from snooze.bundle.rows.reading import parse, read

    return read(arguments.data, arguments.label) if arguments.data else parse(arguments.row)


def write_raw(arguments: argparse.Namespace, adapter: str) -> "Iterator[Payload] | None":
    """Return requests with the rows for an adapter of this kind; None if they are the model's own inputs."""
    from snooze.client.raw_rows import encode_raw

    return encode_raw(adapter, arguments.row, arguments.data, arguments.label)


def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the answer of the server that the options name, or raise a SnoozeError."""
    from snooze.bundle.rows.fitting import fit
    from snooze.client import v2
    from snooze.client.predict import predict, predict_raw

    if not arguments.timeout:
        raise InvalidOption("--timeout", "expected a duration above 0, such as 60s or 500ms")
    model = v2.find_model(arguments.target, arguments.model, arguments.version, arguments.timeout)
    inputs, adapter = v2.read_metadata(model, arguments.timeout)
    raw = None if adapter is None else write_raw(arguments, adapter)
    if raw is not None:
        return predict_raw(model, raw, arguments.timeout)
    rows, source = read_rows(arguments), str(arguments.data or "--row")
    return predict(model, fit(rows, inputs, source), inputs, source, arguments.timeout)


def print_answer(answer: dict[str, Any], as_json: bool) -> None:
    """Print an answer of the plain or the Open Inference protocol, for people or as JSON."""
    print(json.dumps(answer, ensure_ascii=False) if as_json else "\n".join(_lines(answer)))


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{answer.get('model', answer.get('model_name', ''))} "
        f"version {answer.get('version', answer.get('model_version', '?'))}"
    )
    for index, prediction in enumerate(answer.get("predictions", ())):
        parts = [f"{key} {_brief(value)}" for key, value in prediction.items() if key != "probabilities"]
        yield f"  row {index}: {', '.join(parts)}"
    for output in answer.get("outputs", ()):
        yield f"  {output['name']} {output['datatype']} {output['shape']}: {_brief(output['data'])}"


def _brief(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."

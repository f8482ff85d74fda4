"""`snooze inspect`: what a bundle is and the evidence it carries."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snooze.bundle.store import Found

EPILOG = """\
examples:
  snooze inspect models                        what the repository contains
  snooze inspect models/tumour                 the newest version of one model, with its evidence
  snooze inspect models/tumour --version 2     another version
  snooze inspect models/tumour/3 --verify      also: every hash is right, and the samples fit the signature
  snooze inspect models/tumour --json | jq .evidence.parity

Exit codes: 0 done, 2 there is no bundle, or it is damaged.
"""


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `snooze inspect`."""
    parser.description = (
        "Show what a bundle is and the evidence it carries: signature, parity, candidates, profile, files. "
        "A repository is shown as a table."
    )
    parser.epilog = EPILOG
    parser.add_argument("path", metavar="PATH", help="a bundle, the folder of a model, or a repository")
    parser.add_argument("--version", type=int, metavar="N", help="this version of a model (default: the newest)")
    parser.add_argument("--verify", action="store_true", help="check every file against its hash, and the samples")
    parser.add_argument("--json", action="store_true", help="print the contract as one JSON document")


def inspect(arguments: argparse.Namespace) -> int:
    """
    Print what is at `arguments.path`.

    Raises:
        BundleError: there is no bundle, or the one to be shown is damaged.
    """
    from snooze.bundle.inspection import inspect as look
    from snooze.bundle.overview import overview
    from snooze.bundle.store import find, latest

    path = Path(arguments.path)
    found = find(path)
    if path not in (found[0].folder, found[0].folder.parent):
        return _show_repository(_select(path, found, arguments.version), arguments)
    one = look(latest(path, arguments.version), arguments.verify)
    if one.error is not None:
        raise one.error
    assert one.bundle is not None
    if arguments.json:
        print(json.dumps(one.document(), indent=2))
        return 0
    print("\n".join(overview(one.found.folder, one.bundle, [other.version for other in found])))
    if one.proof:
        print(f"\nverified: {one.proof}")
    return 0


def _select(path: Path, found: "list[Found]", version: int | None) -> "list[Found]":
    from snooze.bundle.errors import NoSuchModel

    selected = [one for one in found if version in (None, one.version)]
    if not selected:
        raise NoSuchModel(f"version {version} in {path}", [str(one) for one in sorted({one.version for one in found})])
    return selected


def _show_repository(found: "list[Found]", arguments: argparse.Namespace) -> int:
    from snooze.bundle.inspection import inspect as look
    from snooze.bundle.overview import table

    inspections = [look(one, arguments.verify) for one in found]
    if arguments.json:
        print(json.dumps({"models": [one.document() for one in inspections]}, indent=2))
    else:
        print("\n".join(table(inspections)))
    return 2 if any(one.error for one in inspections) else 0

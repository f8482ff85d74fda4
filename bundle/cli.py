"""`snooze inspect`: arguments in, what a bundle is and the evidence it carries out."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from snooze.bundle.inspection import Inspection
    from snooze.bundle.store import Found

EPILOG = """\
examples:
  snooze inspect models                        what the repository holds
  snooze inspect models/tumour                 the newest version of one model, with its evidence
  snooze inspect models/tumour --version 2     another version
  snooze inspect models/tumour/3 --verify      also: every hash is right, and the samples fit the signature
  snooze inspect models/tumour --json | jq .evidence.parity

Exit codes: 0 done, 2 a bundle is not there, damaged or not one.
"""


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `snooze inspect` takes."""
    parser.description = (
        "Show what a bundle is and the evidence it carries: signature, parity, candidates, profile, files. "
        "A repository is shown as a table."
    )
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", metavar="PATH", help="a bundle, the folder of a model, or a repository")
    parser.add_argument("--version", type=int, metavar="N", help="this version of a model (default: the newest)")
    parser.add_argument("--verify", action="store_true", help="check every file against its hash, and the samples")
    parser.add_argument("--json", action="store_true", help="print the contract as one JSON document")


def inspect(arguments: argparse.Namespace) -> int:
    """
    Print what lies at `arguments.path`.

    Raises:
        BundleError: there is no bundle, or the one to be shown is damaged.
    """
    from pathlib import Path

    from snooze.bundle.inspection import inspect as look
    from snooze.bundle.store import find, latest

    path = Path(arguments.path)
    found = find(path)
    if path not in (found[0].folder, found[0].folder.parent):
        return _show_all([look(one, arguments.verify) for one in _wanted(path, found, arguments.version)], arguments)
    one = look(latest(path, arguments.version), arguments.verify)
    if one.error is not None:
        raise one.error
    return _show(one, found, arguments)


def _wanted(path: "Path", found: "list[Found]", version: int | None) -> "list[Found]":
    from snooze.bundle.errors import NoSuchModel

    wanted = [one for one in found if version in (None, one.version)]
    if not wanted:
        raise NoSuchModel(f"version {version} in {path}", sorted({str(one.version) for one in found}, key=int))
    return wanted


def _show(one: "Inspection", beside: "list[Found]", arguments: argparse.Namespace) -> int:
    import json

    from snooze.bundle.overview import overview

    assert one.bundle is not None
    if arguments.json:
        print(json.dumps(one.document(), indent=2))
        return 0
    for line in overview(one.found.folder, one.bundle, [other.version for other in beside]):
        print(line)
    if one.proof:
        print(f"\nverified: {one.proof}")
    return 0


def _show_all(all_of_them: "list[Inspection]", arguments: argparse.Namespace) -> int:
    import json

    from snooze.bundle.overview import table

    broken = any(one.error for one in all_of_them)
    if arguments.json:
        print(json.dumps({"models": [one.document() for one in all_of_them]}, indent=2))
    else:
        for line in table(all_of_them):
            print(line)
    return 2 if broken else 0

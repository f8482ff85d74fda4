"""A small `kubectl` for tests: it keeps objects in a JSON file, and writes down how it was called."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

PROGRAM: Final = r"""
import json, sys
from pathlib import Path

folder = Path(__file__).parent
arguments = sys.argv[1:]
stdin = sys.stdin.read() if "--filename" in arguments else None
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps({"arguments": arguments, "stdin": stdin}) + "\n")
store = folder / "objects.json"
objects = json.loads(store.read_text())
namespace, verb, *rest = arguments[1:]


def fail(reason, message):
    sys.exit(f"Error from server ({reason}): {message}")


def merge(before, change):
    if not isinstance(change, dict):
        return change
    merged = dict(before) if isinstance(before, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


if namespace == "forbidden":
    fail("Forbidden", "you may not")
if verb == "get" and rest[0] == "--raw":
    print("answer of", rest[1], end="")
elif verb == "get" and "--selector" in rest:
    name, value = rest[2].split("=")
    labelled = [one for key, one in sorted(objects.items()) if key.split("/")[0] == rest[0]]
    print(json.dumps({"items": [one for one in labelled if one["metadata"].get("labels", {}).get(name) == value]}))
elif verb == "get":
    if (found := objects.get(f"{rest[0]}/{rest[1]}")) is not None:
        print(json.dumps(found))
elif verb == "apply":
    import yaml
    for one in yaml.safe_load_all(stdin):
        one["metadata"] |= {"resourceVersion": "1", "generation": 1}
        objects[f"{one['kind'].lower()}s.serving.knative.dev/{one['metadata']['name']}"] = one
elif verb == "patch":
    key = f"{rest[0]}/{rest[1]}"
    before, change = objects[key], json.loads(rest[rest.index("--patch") + 1])
    version = before["metadata"]["resourceVersion"]
    if change["metadata"].pop("resourceVersion", version) != version:
        fail("Conflict", "the object has been modified")
    objects[key] = after = merge(before, change)
    if after != before:
        after["metadata"]["resourceVersion"] = str(int(version) + 1)
    print(json.dumps(after))
else:
    fail("BadRequest", f"this kubectl cannot {arguments}")
store.write_text(json.dumps(objects))
"""


class Kubectl(NamedTuple):
    """The program in `folder`; objects have the key `kind/name`, such as `pods/tumour`."""

    folder: Path

    @property
    def objects(self) -> dict[str, Any]:
        """Return what the cluster holds."""
        found: dict[str, Any] = json.loads((self.folder / "objects.json").read_text())
        return found

    def put(self, key: str, document: Mapping[str, Any]) -> None:
        """Create or replace an object."""
        (self.folder / "objects.json").write_text(json.dumps({**self.objects, key: document}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Return how it was called so far: arguments and standard input."""
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def install(folder: Path) -> Kubectl:
    """Write the program into a new folder that becomes the only one of the PATH that has a kubectl."""
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    (folder / "objects.json").write_text("{}")
    return Kubectl(folder)


def path(kubectl: Kubectl) -> str:
    """Return a PATH with the program first."""
    return f"{kubectl.folder}{os.pathsep}{os.environ['PATH']}"

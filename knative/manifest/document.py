"""A manifest as YAML, with reasons as comments above its fields."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from snooze.bundle.errors import MissingExtra

Path = tuple[str | int, ...]

# Text that YAML 1.1 and 1.2 both read as a string. Anything else is quoted: Knative refuses 12e4 as a label's value.
PLAIN: Final = re.compile(r"(?![yYnN]$)[A-Za-z/][A-Za-z0-9_./@ -]*(?::[A-Za-z0-9_./@-]+)*")
HEADER: Final = "# Written by snooze deploy; changes are lost when it writes again.\n"


class Document(NamedTuple):
    """A manifest, and the reasons for its fields by their paths."""

    manifest: dict[str, Any]
    reasons: dict[Path, str]


def write(manifest: Mapping[str, Any], reasons: Mapping[Path, str]) -> str:
    """
    Return a manifest as YAML text.

    `reasons` maps the path of a field, such as ("spec", "template", "spec", "timeoutSeconds"), to a comment.

    Raises:
        MissingExtra: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise MissingExtra("pyyaml", extra="knative") from None

    class Dumper(yaml.SafeDumper):
        """Indents lists below their field, and quotes strings that some parser could take for another type."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if PLAIN.fullmatch(text) and not text.endswith(" ") else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    text = yaml.dump(manifest, Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text)
    # Insert from the last line up, so that the line numbers of the fields above stay valid.
    positions = sorted(((_position(root, path), reason) for path, reason in reasons.items()), reverse=True)
    for (line, column), reason in positions:
        lines[line:line] = [f"{' ' * column}# {part}\n" for part in reason.splitlines()]
    return HEADER + "".join(lines)


def _position(node: Any, path: Path) -> tuple[int, int]:
    """Return line and column of the field at `path` in a composed document."""
    mark = node.start_mark
    for part in path:
        if isinstance(part, int):
            node = node.value[part]
            mark = node.start_mark
        else:
            key, node = next(pair for pair in node.value if pair[0].value == part)
            mark = key.start_mark
    return mark.line, mark.column

"""`docs/bundle.md` says what the schema says, and its example runs."""

import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle import samples
from snooze.bundle.contract import Bundle
from snooze.bundle.samples import Samples, write_samples

PAGE = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text("utf-8")
SCHEMA: dict[str, Any] = json.loads(files("snooze.bundle").joinpath("schema.json").read_text("utf-8"))
HEADINGS = {
    "Source": "### source",
    "Tensor": "### inputs, outputs",
    "Batching": "### batching",
    "Session": "### session",
    "Tolerance": "### tolerance",
    "Evidence": "### evidence",
    "Profile": "### profile",
    "Run": "Of each entry of `run`:",
}


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(r"\n#|\nOf each entry", PAGE.split(f"\n{heading}\n", 1)[1], maxsplit=1)[0]


def keys(heading: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE)


def test_has_a_row_for_every_key_of_the_contract() -> None:
    assert keys("## bundle.json") == list(SCHEMA["properties"])


@pytest.mark.parametrize("name", list(SCHEMA["$defs"]))
def test_has_a_row_for_every_key_of(name: str) -> None:
    assert keys(HEADINGS[name]) == list(SCHEMA["$defs"][name]["properties"])


def choices() -> Iterator[tuple[str, str]]:
    """Yield each place of the schema where one of some words is expected, with the words."""
    for name, schema in {"Bundle": SCHEMA, **SCHEMA["$defs"]}.items():
        heading = HEADINGS.get(name, "## bundle.json")
        for key, described in schema["properties"].items():
            if key != "datatype":  # given as ranges: UINT8 to UINT64
                yield from ((heading, word) for word in described.get("enum", []) if word)
    yield from (("### adapter", kind) for kind in SCHEMA["properties"]["adapter"]["properties"]["kind"]["enum"])


@pytest.mark.parametrize(("heading", "word"), list(choices()))
def test_names_every_choice(heading: str, word: str) -> None:
    assert f"`{word}`" in section(heading)


def test_says_how_large_samples_may_be() -> None:
    assert samples.MOST_BYTES == 64 * 2**20
    assert "at most 64 MiB" in section("## samples.npz")


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Bundle, samples: Samples) -> None:
    def fill(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"onnx")
        write_samples(folder / "samples.npz", samples)

    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"Path": Path, "bundle": contract, "fill": fill}
    monkeypatch.chdir(tmp_path)
    run: Callable[..., None] = exec

    run(re.sub(r"^    \.\.\. .*$", "    fill(draft.folder)", example, flags=re.MULTILINE), names)

    assert names["folder"] == Path("models/tumour/1")
    assert names["bundle"].version == 1

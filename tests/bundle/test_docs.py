"""`docs/bundle.md` has every key of the contract, and its example runs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle import samples
from snooze.bundle.contract import SCHEMA_VERSION, Bundle
from snooze.bundle.samples import Sample, write_samples

PAGE = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text("utf-8")


def test_has_a_row_for_every_key_of_the_contract() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == ["schema", *Bundle._fields]
    assert f"the version of this contract: {SCHEMA_VERSION} " in PAGE


def test_states_how_large_samples_may_be() -> None:
    assert f"at most {samples.MAX_BYTES // 2**20} MiB, little-endian" in PAGE


def test_its_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Bundle, samples: tuple[Sample, ...]
) -> None:
    def fill(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"onnx")
        write_samples(folder / "samples.npz", samples)

    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"Path": Path, "bundle": contract, "fill": fill}
    monkeypatch.chdir(tmp_path)
    run: Callable[..., None] = exec

    run(re.sub(r"^    \.\.\. .*$", "    fill(draft.folder)", example, flags=re.MULTILINE), names)

    assert names["folder"] == Path("models/tumour/1")
    assert names["found"].version == 1

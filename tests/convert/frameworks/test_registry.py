import sys
from pathlib import Path

import pytest

from snooze.convert.frameworks.registry import NAMES, find, frameworks


def test_every_framework_has_its_name() -> None:
    assert [framework.name for framework in frameworks()] == list(NAMES)
    assert find("keras").name == "keras"


def test_no_suffix_belongs_to_two_frameworks() -> None:
    suffixes = [suffix for framework in frameworks() for suffix in framework.suffixes]

    assert len(set(suffixes)) == len(suffixes)


def test_recognizing_imports_no_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sklearn", "keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "model").write_bytes(b"\x80\x04")

    assert [one.recognizes_content(tmp_path / "model") for one in frameworks()] == [True, False]
    assert [one.needs_trust(tmp_path / "model") for one in frameworks()] == [True, False]
    assert not any(one.recognizes(object()) for one in frameworks())

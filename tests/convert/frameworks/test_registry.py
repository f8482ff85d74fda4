import subprocess
import sys
from pathlib import Path

import pytest

from snooze.convert.frameworks.registry import NAMES, find, frameworks

pytestmark = pytest.mark.process


def test_every_framework_has_its_name() -> None:
    assert [framework.name for framework in frameworks()] == list(NAMES)
    assert find("keras").name == "keras"


def test_no_suffix_belongs_to_two_frameworks() -> None:
    suffixes = [suffix for framework in frameworks() for suffix in framework.suffixes]

    assert len(set(suffixes)) == len(suffixes)


def test_recognizing_imports_no_framework(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"\x80\x04")
    program = (
        "import sys; from pathlib import Path; from snooze.convert.frameworks.registry import frameworks;"
        f"path = Path({str(tmp_path / 'model')!r});"
        "print([one.name for one in frameworks() if one.recognizes_file(path)],"
        " [one.name for one in frameworks() if one.needs_trust(path)],"
        " [one.name for one in frameworks() if one.recognizes(object()) or one.recognizes_file(path.parent)],"
        " [name for name in ('sklearn', 'keras', 'tensorflow', 'onnx', 'onnxruntime') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "['sklearn'] ['sklearn'] [] []\n"

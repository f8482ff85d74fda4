import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest

from snooze.convert.errors import NotAModel
from snooze.convert.frameworks.torch.archive import LEGACY, check_archive, find_kind, reaches_out

WEIGHTS = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01."  # a pickled OrderedDict
MODULE = b"\x80\x02cmynet\nNet\nq\x00)Rq\x01."
CODE = b"def forward(self, x: Tensor) -> Tensor:\n  return torch.relu(x)\n"
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a zip file of some members."""

    def save(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(tmp_path / "model", "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return tmp_path / "model"

    return save


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"m/data.pkl": WEIGHTS, "m/constants.pkl": b"", "m/code/__torch__.py": CODE}, "script"),
        ({"m/archive_format": b"pt2", "m/byteorder": b"little", "m/models/model.json": b"{}"}, "program"),
        ({"version": b"8.1", "serialized_exported_program.json": b"{}"}, "program"),
        ({"m/data.pkl": WEIGHTS, "m/data/0": b""}, "weights"),
        ({"m/data.pkl": MODULE, "m/data/0": b""}, "module"),
        ({"m/data.pkl": b"\x80\x02garbage"}, "module"),
        ({"m/data.pkl": pickle.dumps(OrderedDict(a=1), 4)}, "module"),  # its names are computed
        ({"config.json": b"{}"}, None),
    ],
)
def test_recognizes_archives_by_their_content(save: Save, members: dict[str, bytes], kind: str | None) -> None:
    assert find_kind(save(members)) == kind


@pytest.mark.parametrize(("last", "kind"), [(WEIGHTS, "weights"), (MODULE, "module"), (b"", "module")])
def test_recognizes_files_from_before_archives(tmp_path: Path, last: bytes, kind: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(LEGACY + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + last)

    assert find_kind(path) == kind


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04N.", b"PK\x05\x06" + bytes(18)])
def test_other_files_are_not_of_pytorch(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").write_bytes(content)

    assert find_kind(tmp_path / "model") is None
    assert find_kind(tmp_path) is None


def test_an_ordinary_archive_is_read(save: Save) -> None:
    check_archive(save({"m/data.pkl": WEIGHTS, "m/code/__torch__.py": CODE}, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"m/data.pkl": b"", "M/Data.pkl": b""}, "the zip file contains 'm/data.pkl' twice"),
        ({"m/../../evil": b""}, "the zip file contains 'm/../../evil', which is outside of it"),
        ({"/etc/passwd": b""}, "the zip file contains '/etc/passwd', which is outside of it"),
    ],
)
def test_ambiguous_and_outside_members_are_refused(save: Save, members: dict[str, bytes], problem: str) -> None:
    with pytest.raises(NotAModel) as caught:
        check_archive(save(members))

    assert caught.value.problem == f"{problem}; save the model again"


def test_a_zip_bomb_is_refused(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snooze.convert.frameworks.torch.archive.MAX_INFLATED", 1000)

    with pytest.raises(NotAModel, match="unpacks to 100000 bytes of code; at most 1000 are read"):
        check_archive(save({"m/code/a.py": bytes(100_000)}, zipfile.ZIP_DEFLATED))


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """Each entry of the directory names the same bytes, so that a small file seems to contain them many times."""
    content = bytes(1000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/0", content)
    whole = file.getvalue()
    begin = whole.index(b"PK\x01\x02")
    entry = whole[begin : whole.index(b"PK\x05\x06")]
    entries = b"".join(entry.replace(b"m/0", f"m/{at}".encode()) for at in range(9))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(entries), begin, 0)
    (tmp_path / "model").write_bytes(whole[:begin] + entries + end)

    with pytest.raises(NotAModel, match="the zip file claims more bytes than it has"):
        check_archive(tmp_path / "model")


@pytest.mark.parametrize(
    ("code", "reaches"),
    [
        (CODE, False),
        (b"return torch.save(x, '/etc/passwd')", True),
        (b"return torch.from_file('/etc/passwd')", True),
        (b"return ops.aten.save(x, 'a')", True),
        (b"return ops.quantized.linear(x)", False),
        (b"return ops.inductor.run(x)", True),
        (b"__torch__.torch.classes.dist_c10d.FileStore", True),
        (b"__torch__.torch.classes.quantized.LinearPackedParamsBase", False),
    ],
)
def test_torchscript_that_reaches_files_is_found(save: Save, code: bytes, reaches: bool) -> None:
    assert reaches_out(save({"m/constants.pkl": b"", "m/code/__torch__.py": code})) is reaches

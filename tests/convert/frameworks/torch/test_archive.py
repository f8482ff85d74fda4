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


def directory(path: Path) -> tuple[bytes, bytes]:
    """Return what is before the directory of a zip file, and the directory without its end record."""
    whole = path.read_bytes()
    begin = whole.index(b"PK\x01\x02")
    return whole[:begin], whole[begin : whole.index(b"PK\x05\x06")]


def end(count: int, length: int, offset: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, length, offset, 0)


def test_members_that_overlap_are_refused(save: Save) -> None:
    """Each entry of the directory names the same bytes, so that a small file seems to contain them many times."""
    path = save({"m/0": bytes(1000)})
    data, entry = directory(path)
    entries = b"".join(entry.replace(b"m/0", f"m/{at}".encode()) for at in range(9))
    path.write_bytes(data + entries + end(9, len(entries), len(data)))

    with pytest.raises(NotAModel, match="the zip file claims more bytes than it has"):
        check_archive(path)


def test_files_that_readers_may_see_differently_are_refused(save: Save) -> None:
    path = save({"m/0": b"content"})
    whole = path.read_bytes()
    data, entry = directory(path)
    hidden = data + entry + entry + end(1, len(entry), len(data))  # the first of two directories counts
    for content in (b"before" + whole, whole[:-2] + b"\x07\x00comment", hidden):
        path.write_bytes(content)
        with pytest.raises(NotAModel, match="has data around it, or more than one directory"):
            check_archive(path)


def test_a_damaged_source_is_refused(save: Save) -> None:
    path = save({"m/constants.pkl": b"", "m/code/__torch__.py": CODE * 9}, zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    at = content.index(b"__torch__.py") + 20
    path.write_bytes(content[:at] + bytes(20) + content[at + 20 :])

    with pytest.raises(NotAModel, match="is a damaged zip file"):
        reaches_out(path)


@pytest.mark.parametrize(
    ("code", "reaches"),
    [
        (CODE, False),
        (b"return torch.save(x, '/etc/passwd')", True),
        (b"return torch.from_file('/etc/passwd')", True),
        (b"return ops.aten.save(x, 'a')", True),
        (b"return ops.quantized.linear(x)", False),
        (b"return ops.inductor.run(x)", True),
        (b"c__torch__.torch.classes.dist_c10d\nFileStore\n", True),
        (b"__torch__.torch.classes.quantized.LinearPackedParamsBase", False),
    ],
)
def test_torchscript_that_reaches_files_is_found(save: Save, code: bytes, reaches: bool) -> None:
    for place in ("m/code/__torch__.py", "M/CODE/A.PY", "m/data.pkl"):
        assert reaches_out(save({"m/constants.pkl": b"", place: code})) is reaches
